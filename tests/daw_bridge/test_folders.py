from __future__ import annotations

import sys
from pathlib import Path

import pytest

from daw_bridge.ardour.folders import ardour_folders


@pytest.mark.parametrize(
    ("platform", "base", "name"),
    [
        ("linux", ".config", "ardour{}"),
        ("darwin", "Library/Preferences", "Ardour{}"),
        ("win32", "AppData/Local", "Ardour{}"),
    ],
)
def test_each_system_has_its_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, base: str, name: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("LOCALAPPDATA")
    for version in (6, 7, 9, 10):
        (tmp_path / base / name.format(version)).mkdir(parents=True)
    (tmp_path / base / name.format(8)).write_text("a file")
    found = [(folder.version, folder.path) for folder in ardour_folders()]
    assert found == [(version, tmp_path / base / name.format(version)) for version in (7, 9)]


def test_the_variables_of_the_system_move_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    (tmp_path / "local" / "Ardour8").mkdir(parents=True)
    (tmp_path / "xdg" / "Ardour7").mkdir(parents=True)
    assert [folder.version for folder in ardour_folders()] == [8]
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert [folder.version for folder in ardour_folders()] == [7]


def test_ports_and_switches_are_read_from_ardours_own_files(ardour) -> None:
    folder = ardour()
    assert (folder.osc_port, folder.osc_is_on, folder.forbids_programs) == (3819, False, False)
    (folder.path / "config").write_text(
        '<Option name="osc-port" value="4001"/><Protocol name="Open Sound Control (OSC)" active="1"/>'
    )
    (folder.path / "ui_config").write_text('<Option name="sandbox-all-lua-scripts" value="1"/>')
    assert (folder.osc_port, folder.osc_is_on, folder.forbids_programs) == (4001, True, True)
    (folder.path / "config").unlink()
    assert folder.osc_port == 3819

"""stemfix in REAPER's resource folder: once, whole or not at all, and out again byte for byte."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.reaper.ext_state import read_section, with_values, without_section
from daw_bridge.reaper.folders import ReaperFolder, default_path, reaper_folders
from daw_bridge.reaper.installer import install, uninstall
from daw_bridge.reaper.keymap import register, registered, unregister
from daw_bridge.reaper.running import running_reapers
from daw_bridge.reaper.startup import OFFER, with_lines, without_lines
from daw_bridge.reaper.status import status
from daw_bridge.scripts import script_files
from engine.errors import OptionError, OutputError, StemfixError

Tree = Callable[[Path], dict[str, bytes | None]]
Run = Callable[..., Any]

KEYMAP = (
    b"KEY 1 83 40364 0\r\n"
    b'SCR 4 0 RS0a1b2c "Custom: Mine.lua" "My Scripts/Mine.lua"\r\n'
    b'SCR 4 32060 RS7d3c "Custom: stemfix_midi.lua" Other/stemfix_midi.lua\r\n'
    b'ACT 0 0 "abc" "Custom: both" 40001 _RS0a1b2c\r\n'
    b'SCR 4 0 RSffff "Custom: Last.lua" Last.lua'  # REAPER's last line may lack its end
)
EXT_STATE = b"; mine\r\n[other]\r\nkey=value = x\r\n\r\n[third]\r\na=\xe9"
STARTUP = b'#!/usr/bin/lua\nreaper.ShowConsoleMsg("hello")\nreturn true'
FILES = {
    "stemfix_Enhance selected item.lua": b"-- 1\n",
    OFFER: b"-- 2\n",
    "stemfix/lib.lua": b"-- lib\n",
}
VALUES = {"python": sys.executable, "data_dir": "/data", "version": "1.0"}


@pytest.fixture
def folder() -> ReaperFolder:
    path = default_path(os.environ)
    (path / "Scripts" / "My Scripts").mkdir(parents=True)
    (path / "Scripts" / "My Scripts" / "Mine.lua").write_bytes(b"-- mine")
    (path / "Scripts" / "__startup.lua").write_bytes(STARTUP)
    (path / "reaper.ini").write_bytes(b"[REAPER]\r\n")
    (path / "reaper-kb.ini").write_bytes(KEYMAP)
    (path / "reaper-extstate.ini").write_bytes(EXT_STATE)
    (found,) = reaper_folders()
    return found


def go(folder: ReaperFolder, files: dict[str, bytes] = FILES, **values: str) -> bool:
    (report,) = install([folder], files, {**VALUES, **values})
    return report.changed


def test_everything_is_there_once_and_the_users_lines_stay(folder: ReaperFolder, tree: Tree) -> None:
    assert go(folder)
    after = folder.keymap.read_bytes()
    assert after.startswith(KEYMAP + b"\r\n")
    ours = after[len(KEYMAP) + 2 :].split(b"\r\n")
    assert len(ours) == 3
    pattern = rb'SCR 4 0 RS[0-9a-f]{40} "Custom: (stemfix_[^"]+)" "stemfix/\1"'
    assert all(re.fullmatch(pattern, line) for line in ours[:2])
    assert folder.ext_state.read_bytes().startswith(EXT_STATE + b"\r\n[stemfix]\r\n")
    assert read_section(folder.ext_state.read_bytes()) == VALUES
    startup = (folder.scripts / "__startup.lua").read_bytes()
    assert startup.startswith(b"#!/usr/bin/lua\n-- stemfix begins")
    assert startup.endswith(STARTUP.split(b"\n", 1)[1])
    assert (folder.scripts / "stemfix" / "stemfix" / "lib.lua").read_bytes() == b"-- lib\n"
    before = tree(folder.path)
    assert not go(folder)
    assert tree(folder.path) == before


def test_out_again_byte_for_byte(folder: ReaperFolder, tree: Tree) -> None:
    before = tree(folder.path)
    go(folder)
    go(folder, {**FILES, "stemfix_New.lua": b""}, version="2.0")
    (report,) = uninstall([folder])
    assert report.changed
    assert report.actions == []
    assert tree(folder.path) == before
    (report,) = uninstall([folder])
    assert not report.changed


def test_out_of_an_empty_folder_too(tmp_path: Path, tree: Tree) -> None:
    path = default_path(os.environ)
    path.mkdir(parents=True)
    go(*reaper_folders())
    uninstall(reaper_folders())
    assert tree(path) == {}


def test_what_changed_since_stays(folder: ReaperFolder) -> None:
    go(folder)
    command = registered(folder.keymap.read_bytes())[-1].command
    mine = f"KEY 1 77 {command} 0\r\n".encode()
    folder.keymap.write_bytes(folder.keymap.read_bytes() + mine)
    folder.ext_state.write_bytes(folder.ext_state.read_bytes() + b"progress=1\r\n[new]\r\nx=1\r\n")
    (folder.scripts / "__startup.lua").write_bytes((folder.scripts / "__startup.lua").read_bytes() + b"\n--x")
    script = folder.scripts / "stemfix" / "stemfix" / "lib.lua"
    script.write_bytes(b"-- by hand")
    (report,) = uninstall([folder])
    assert folder.keymap.read_bytes() == KEYMAP + b"\r\n" + mine
    assert folder.ext_state.read_bytes() == EXT_STATE + b"\r\n[new]\r\nx=1\r\n"
    assert (folder.scripts / "__startup.lua").read_bytes() == STARTUP + b"\n--x"
    assert not (folder.scripts / "stemfix").exists()
    (note,) = report.notes
    copy = re.search(r"a copy of it is (.*)\.$", note)
    assert copy is not None
    assert Path(copy[1]).read_bytes() == b"-- by hand"


def test_without_its_record_it_still_comes_out(folder: ReaperFolder, tmp_path: Path, tree: Tree) -> None:
    before = tree(folder.path)
    go(folder)
    for path in (tmp_path / "stemfix" / "data" / "daw").rglob("record.json"):
        path.unlink()
    uninstall([folder])
    after = tree(folder.path)
    ends = {"reaper-kb.ini": b"\r\n", "reaper-extstate.ini": b"\r\n"}
    assert after == {
        name: data if data is None else data + ends.get(name, b"") for name, data in before.items()
    }


def test_one_that_reapack_registered_is_not_registered_twice(folder: ReaperFolder) -> None:
    name = "stemfix_Enhance selected item.lua"
    line = f'SCR 4 0 RS11 "Custom: {name}" "stemfix/Items Editing/{name}"\r\n'.encode()
    folder.keymap.write_bytes(line + KEYMAP)
    (report,) = install([folder], FILES, VALUES)
    assert [one.file_name for one in report.actions] == [name, OFFER]
    assert "Items Editing" in report.notes[0]
    uninstall([folder])
    assert folder.keymap.read_bytes() == line + KEYMAP


def test_an_action_that_is_gone_is_taken_out(folder: ReaperFolder) -> None:
    go(folder, {**FILES, "stemfix_Old.lua": b"old"})
    go(folder)
    assert "stemfix_Old.lua" not in [one.file_name for one in registered(folder.keymap.read_bytes())]
    assert not (folder.scripts / "stemfix" / "stemfix_Old.lua").exists()


def test_while_reaper_runs_nothing_is_changed(
    folder: ReaperFolder, no_reaper_runs: list[int], tree: Tree
) -> None:
    before = tree(folder.path)
    no_reaper_runs.append(4711)
    for action in (lambda: go(folder), lambda: uninstall([folder])):
        with pytest.raises(StemfixError, match=r"REAPER is running \(process 4711\)"):
            action()
    assert tree(folder.path) == before


def test_a_running_reaper_is_recognised(tmp_path: Path) -> None:
    program = tmp_path / "reaper"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([program, "30"])
    try:
        while process.pid not in running_reapers() and process.poll() is None:
            pass
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert process.pid not in running_reapers()


@pytest.mark.parametrize(
    "name", ["reaper-kb.ini", "reaper-extstate.ini", "Scripts/__startup.lua", "record.json"]
)
def test_a_disk_that_fails_leaves_everything_as_it_was(
    folder: ReaperFolder, tree: Tree, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = tree(folder.path)
    replace = os.replace

    def fails(source: Any, target: Any) -> None:
        if str(target).endswith(name):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OutputError, match="Nothing was changed"):
        go(folder)
    monkeypatch.undo()
    assert {k: v for k, v in tree(folder.path).items() if v is not None} == {
        k: v for k, v in before.items() if v is not None
    }


def test_a_portable_installation(tmp_path: Path, stemfix: Run, tree: Tree) -> None:
    place = tmp_path / "stick" / "REAPER"
    place.mkdir(parents=True)
    with pytest.raises(OptionError, match="no resource folder"):
        reaper_folders(place)
    (place / "reaper.ini").touch()
    before = tree(place)
    done = stemfix("daw", "install", "reaper", "--folder", place)
    assert done.status == 0, done.err
    assert f"REAPER in {place}: the actions are installed" in done.out
    assert json.loads(stemfix("daw", "status", "reaper", "--folder", place, "--json").out)[0]["portable"]
    assert stemfix("daw", "uninstall", "reaper", "--folder", place).status == 0
    assert tree(place) == before


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"HOME": "/h"}, "/h/.config/REAPER"),
        ("linux", {"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/REAPER"),
        ("darwin", {"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/h/Library/Application Support/REAPER"),
        ("win32", {"APPDATA": "/a/Roaming"}, "/a/Roaming/REAPER"),
    ],
)
def test_the_folder_on_the_three_systems(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert default_path(environment) == Path(expected)


def test_the_commands_with_the_real_scripts(folder: ReaperFolder, stemfix: Run, tree: Tree) -> None:
    before = tree(folder.path)
    assert "not installed" in stemfix("daw", "status", "reaper").out
    done = stemfix("daw", "install", "reaper", "--preset", "fast", "--track-settings", "effects")
    assert done.status == 0, done.err
    for words in ("Media item context", "toolbar", "action list"):
        assert words in done.out
    (found,) = json.loads(stemfix("daw", "status", "reaper", "--json").out)
    assert (found["installed"], found["problems"], found["hints"]) == (True, [], [])
    names = {name for name in script_files("reaper_scripts") if "/" not in name}
    assert set(found["actions"]) == names
    values = read_section(folder.ext_state.read_bytes())
    assert values is not None
    assert (values["python"], values["preset"], values["track_settings"]) == (
        sys.executable,
        "fast",
        "effects",
    )
    assert "balanced" in values["presets"].split(",")
    assert Path(values["data_dir"]).is_absolute()
    # What the user chose outlives an update.
    stemfix("daw", "install", "reaper")
    assert (read_section(folder.ext_state.read_bytes()) or {})["preset"] == "fast"
    assert stemfix("daw", "uninstall", "reaper").status == 0
    assert tree(folder.path) == before
    assert "There is no preset called 'x'" in stemfix("daw", "install", "reaper", "--preset", "x").err


def test_without_reaper_it_says_where_it_looked(stemfix: Run) -> None:
    done = stemfix("daw", "install", "reaper")
    assert done.status == 2
    assert "There is no resource folder of REAPER in " in done.err
    assert "No resource folder" in stemfix("daw", "status", "reaper").out


def test_the_server_for_the_terminal_comes_only_on_request(folder: ReaperFolder, stemfix: Run) -> None:
    pytest.importorskip("reapy")
    stemfix("daw", "install", "reaper")
    assert not list(folder.scripts.rglob("*.py"))
    stemfix("daw", "install", "reaper", "--terminal")
    stemfix("daw", "install", "reaper")  # which leaves that choice
    (script,) = folder.scripts.rglob("*.py")
    text = script.read_text()
    compile(text, str(script), "exec")
    assert 'SITE_PACKAGES = ""' not in text
    assert re.search(r"^SITE_PACKAGES = '/", text, re.MULTILINE)
    assert json.loads(stemfix("daw", "status", "reaper", "--json").out)[0]["problems"] == []


def test_the_status_finds_what_is_wrong(folder: ReaperFolder) -> None:
    assert not status(folder, FILES, "1.0").is_installed
    go(folder)
    fine = status(folder, FILES, "1.0")
    assert (fine.is_installed, fine.problems, fine.hints) == (True, [], [])
    assert "is of stemfix 1.0" in status(folder, FILES, "2.0").hints[0]
    assert "not those" in status(folder, {**FILES, OFFER: b"other"}, "1.0").hints[0]
    go(folder, python="/nowhere/python")
    assert "/nowhere/python is gone" in status(folder, FILES, "1.0").problems[0]
    go(folder)
    (folder.scripts / "stemfix" / "stemfix" / "lib.lua").unlink()
    assert "stemfix/lib.lua missing" in status(folder, FILES, "1.0").problems[0]
    go(folder)
    line = next(line for line in folder.keymap.read_bytes().splitlines(True) if b"stemfix/stemfix_En" in line)
    folder.keymap.write_bytes(folder.keymap.read_bytes() + line)
    assert "registered 2 times" in status(folder, FILES, "1.0").problems[0]
    folder.keymap.write_bytes(folder.keymap.read_bytes().replace(line, b""))
    assert "not registered" in status(folder, FILES, "1.0").problems[0]


def test_the_doctor_looks_at_it(folder: ReaperFolder, stemfix: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import daw_bridge.reaper.connection as connection
    import stemfix.checks as checks

    for name in ("_packages", "_device", "_weights", "_self_test"):
        monkeypatch.setattr(checks, name, lambda: iter(()))

    def found() -> list[tuple[str, str]]:
        return [(one.state, one.found) for one in checks.all_checks() if one.name == "reaper"]

    assert found() == [("hint", "REAPER is there, without stemfix")]
    stemfix("daw", "install", "reaper")
    ((state, _),) = found()
    assert state == "ok"
    monkeypatch.setattr(connection, "server_addresses", lambda port: {"0.0.0.0", "127.0.0.1"})
    (state, said), _ = found()
    assert state == "failed"
    assert "listens on 0.0.0.0" in said


@pytest.mark.parametrize(
    "data",
    [None, b"", b"[a]\nb=1", b"[a]\r\nb=1\r\n\r\n", b"[stemfixx]\npython=1\n", b"x\r[b]\r\n", b"[a]\n[b]\n"],
)
def test_other_sections_keep_their_bytes(data: bytes | None) -> None:
    once = with_values(data, {"python": "/p", "preset": "fast"})
    assert read_section(once) == {"python": "/p", "preset": "fast"}
    twice = with_values(once, {"python": "/q", "version": "1"})
    assert read_section(twice) == {"python": "/q", "preset": "fast", "version": "1"}
    assert with_values(twice, {"python": "/q"}) == twice
    left = without_section(twice)
    assert left.rstrip(b"\r\n") == (data or b"").rstrip(b"\r\n")
    assert with_values(b"[stemfix]\nA=1\n\n[z]\nq=1\n", {"b": "2"}) == b"[stemfix]\nA=1\nb=2\n\n[z]\nq=1\n"


def test_a_value_never_leaves_its_line() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        with_values(b"", {"python": "/p\n[reaper]"})


def test_registering_twice_is_registering_once() -> None:
    names = ["stemfix_A.lua", "stemfix_B.lua"]
    once = register(KEYMAP, names)
    assert register(once, names) == once
    assert unregister(once) == KEYMAP + b"\r\n"
    assert register(once + once[len(KEYMAP) + 2 :], names) == once


def test_reapers_own_way_to_write_a_line_is_known() -> None:
    lines = (
        b'SCR 4 0 RSaa "Custom: stemfix_A b.lua" "stemfix\\stemfix_A b.lua"\r\n'
        b"SCR 36 0 _RSbb 'Custom: stemfix_C.lua' C:\\Users\\x\\REAPER\\Scripts\\stemfix\\stemfix_C.lua\r\n"
    )
    first, second = registered(lines)
    assert (first.command, first.file_name, first.is_installers) == ("_RSaa", "stemfix_A b.lua", True)
    assert (second.command, second.file_name, second.is_installers) == ("_RSbb", "stemfix_C.lua", True)
    assert register(lines, ["stemfix_A b.lua", "stemfix_C.lua"]) == lines


@pytest.mark.parametrize("data", [b"", b"x()\n", b"x()\r\ny()\r\n", b"\xef\xbb\xbfx()", b"#!lua\nx()"])
def test_the_startup_script_keeps_its_bytes(data: bytes) -> None:
    once = with_lines(data, "_RS1")
    assert without_lines(once) == data
    assert with_lines(once, "_RS1") == once
    assert b'"_RS2"' in with_lines(once, "_RS2")
    with pytest.raises(StemfixError):
        with_lines(data, '_RS1") os.execute("x')

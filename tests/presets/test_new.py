"""`new_preset`: a copy that is a preset of its own at once, and never the end of another file."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.processors.presets import load
from presets.loader import list_presets, preset_text
from presets.new import new_preset
from presets.problem import PresetProblem


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's presets go; it does not exist yet."""
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path / "config" / "presets"


@pytest.mark.parametrize("based_on", ["none", "balanced", "gentle-master"])
def test_it_sounds_the_same_until_it_is_changed(folder: Path, based_on: str) -> None:
    path = new_preset("mine", based_on)
    assert path == folder / "mine.toml"
    assert load("mine").digest == load(based_on).digest
    assert "mine" in {entry.name for entry in list_presets()}


def test_the_comments_come_along(folder: Path) -> None:
    text = new_preset("mine", "maximum").read_text(encoding="utf-8")
    assert text.startswith("# mine: ")
    assert text.endswith(preset_text("maximum"))


def test_a_copy_of_ones_own(folder: Path) -> None:
    first = new_preset("mine", "fast")
    first.write_text('[[bass]]\neffect = "sub"\n', encoding="utf-8")
    new_preset("other.toml", "mine")
    assert list(load("other").chains) == ["bass"]
    elsewhere = new_preset("third", str(first))
    assert load(str(elsewhere)).digest == load("mine").digest


@pytest.mark.parametrize("name", ["mine", "MINE", "mine.toml"])
def test_what_is_there_is_never_overwritten(folder: Path, name: str) -> None:
    path = new_preset("mine")
    path.write_text("# my work\n", encoding="utf-8")
    with pytest.raises(PresetProblem, match="already"):
        new_preset(name)
    assert path.read_text(encoding="utf-8") == "# my work\n"


def test_a_name_of_stemfixs_own_is_taken(folder: Path) -> None:
    with pytest.raises(PresetProblem, match="comes with stemfix"):
        new_preset("Balanced")
    assert not folder.exists()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-x", "a b", "x" * 65, "nul\0"])
def test_what_is_no_name(folder: Path, name: str) -> None:
    with pytest.raises(PresetProblem, match="can't be the name"):
        new_preset(name)
    assert not folder.exists()


def test_nothing_is_written_from_a_preset_that_is_not_there(folder: Path) -> None:
    with pytest.raises(PresetProblem, match="no preset 'balancd'"):
        new_preset("mine", "balancd")
    assert not folder.exists()


def test_a_folder_that_can_not_be_written(folder: Path) -> None:
    folder.parent.parent.mkdir(exist_ok=True)
    folder.parent.write_text("a file where the folder should be")
    with pytest.raises(PresetProblem, match="can't be written"):
        new_preset("mine")

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

BUILT_IN = ["none", "fast", "balanced", "maximum", "restore", "gentle-master"]
BUILT_IN += ["acoustic", "electronic", "spoken", "vocal-forward"]


@pytest.fixture
def own_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(tmp_path / "config"))
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    return folder


def test_list_shows_what_comes_with_stemfix_and_ones_own(stemfix, own_presets: Path) -> None:
    (own_presets / "mine.toml").write_text('description = "My [own] sound"\n')
    outcome = stemfix("presets", "list")
    assert outcome.status == 0
    assert all(name in outcome.out for name in BUILT_IN)
    assert "My [own] sound" in outcome.out
    (presets,) = stemfix("presets", "list", "--json").objects
    assert [preset["name"] for preset in presets] == [*BUILT_IN, "mine"]
    assert presets[-1] == {
        "name": "mine",
        "description": "My [own] sound",
        "built_in": False,
        "path": str(own_presets / "mine.toml"),
    }


@pytest.mark.parametrize("name", BUILT_IN)
def test_show_prints_the_file_that_is_the_manual(stemfix, name: str) -> None:
    shown = stemfix("presets", "show", name)
    assert shown.status == 0
    assert "#" in shown.out
    (settings,) = stemfix("presets", "show", name, "--json").objects
    assert settings["name"] == name
    assert set(settings) == {"name", "description", "digest", "quality", "repair", "chains", "mix"}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_ones_are_valid(stemfix, name: str) -> None:
    outcome = stemfix("presets", "validate", name)
    assert outcome.status == 0
    assert "valid" in outcome.out


def test_validate_names_file_line_and_key(stemfix, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    preset.write_text('[[vocals]]\neffect = "compressor"\nratoi = 2.0\n')
    outcome = stemfix("presets", "validate", preset)
    assert outcome.status == 2
    assert all(part in outcome.err for part in ("mine.toml", "line 3", "ratoi"))


def test_new_writes_a_copy_and_says_where(stemfix, own_presets: Path) -> None:
    outcome = stemfix("presets", "new", "mine", "--from", "fast")
    assert outcome.status == 0
    assert str(own_presets / "mine.toml") in outcome.out
    assert stemfix("presets", "validate", "mine").status == 0
    again = stemfix("presets", "new", "mine")
    assert again.status == 2
    assert "already" in again.err
    assert len(again.error_lines) == 1


def test_new_starts_from_no_preset_with_a_mistake(stemfix, own_presets: Path) -> None:
    (own_presets / "broken.toml").write_text("vocal = 1\n")
    outcome = stemfix("presets", "new", "mine", "--from", "broken")
    assert outcome.status == 2
    assert "line 1" in outcome.err
    assert not (own_presets / "mine.toml").exists()


@pytest.mark.parametrize(
    "arguments", [["show", "maximun"], ["validate", "maximun"], ["show", "no/where.toml"]]
)
def test_a_preset_that_is_not_there(stemfix, arguments: list[str]) -> None:
    outcome = stemfix("presets", *arguments)
    assert outcome.status == 2
    assert arguments[1] in outcome.err
    assert len(outcome.error_lines) == 1


def test_the_cache_fills_and_is_cleared(stemfix, fake_model: object, make_song: Callable[..., Path]) -> None:
    assert stemfix("separate", make_song()).status == 0
    (info,) = stemfix("cache", "info", "--json").objects
    assert set(info) == {"folder", "entries", "bytes", "limit_bytes", "openvino"}
    assert info["entries"] == 1
    assert info["bytes"] > 0
    assert stemfix("cache", "info").out.startswith("1 separation, ")
    assert stemfix("cache", "clear").out.startswith("Deleted 1 separation, ")
    assert stemfix("cache", "info").out.startswith("0 separations, ")
    assert stemfix("cache", "info", "--json").objects[0]["entries"] == 0


def test_a_cache_size_that_is_none_is_refused(stemfix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMFIX_CACHE_GB", "plenty")
    outcome = stemfix("cache", "info")
    assert outcome.status == 2
    assert "STEMFIX_CACHE_GB" in outcome.err

"""Presets: the built-in files load, say what they do, and a digest stands for the sound alone."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from engine.errors import PresetError
from engine.processors.presets import load
from engine.processors.registry import effects
from engine.quality import QUALITIES
from presets.loader import list_presets, load_preset, preset_text
from presets.preset import STEMS

NAMES = ("none", "fast", "balanced", "maximum", "restore", "gentle-master")
GENRES = ("acoustic", "electronic", "spoken", "vocal-forward")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's presets folder, away from the real one."""
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(tmp_path / "config"))
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", [*NAMES, *GENRES])
def test_built_in_presets_load(name: str) -> None:
    preset = load(name)
    assert preset.name == name
    assert preset.description
    assert preset.quality in QUALITIES
    assert set(preset.chains) <= set(STEMS)
    for chain in (preset.repair, *preset.chains.values(), preset.mix.chain):
        for step in chain:
            assert type(step) in effects().values()


def test_they_are_listed_in_order_of_strength() -> None:
    assert tuple(entry.name for entry in list_presets()) == (*NAMES, *GENRES)
    assert all(entry.description and entry.path is None for entry in list_presets())


def test_none_does_nothing() -> None:
    preset = load("none")
    assert preset.chains == {}
    assert preset.mix.chain == ()
    assert not preset.mix.keep_loudness
    assert preset.mix.true_peak_db is None


def test_no_music_preset_uses_the_speech_gate() -> None:
    for name in (*NAMES, *GENRES):
        if name == "spoken":
            continue
        chains = load(name).settings()["chains"].values()
        assert "speech_denoise" not in {step["effect"] for chain in chains for step in chain}


def test_every_stems_first_effect_says_why() -> None:
    for name in (*NAMES, *GENRES):
        lines = preset_text(name).splitlines()
        for stem in load(name).chains:
            first = lines.index(f"[[{stem}]]")
            above = [line for line in lines[max(first - 12, 0) : first] if line]
            assert any(line.startswith("#") for line in above), (name, stem)


def test_the_digest_stands_for_the_settings_alone(config: Path) -> None:
    text = preset_text("balanced")
    (config / "mine.toml").write_text(
        "# a comment\n" + text.replace("Cleaner", "Other words"), encoding="utf-8"
    )
    (config / "louder.toml").write_text(text.replace("true_peak_db = -1.0", "true_peak_db = -0.5"))
    assert load("mine").digest == load("balanced").digest
    assert load("louder").digest != load("balanced").digest
    assert len({load(name).digest for name in (*NAMES, *GENRES)}) == len(NAMES) + len(GENRES)
    assert len(load("none").digest) == 64


def test_the_digest_sees_defaults_and_order(config: Path) -> None:
    denoise, deess = (f'[[vocals]]\neffect = "{name}"\n' for name in ("denoise", "deess"))
    (config / "a.toml").write_text(denoise + deess)
    (config / "b.toml").write_text(denoise + "amount = 1.0\n" + deess)
    (config / "c.toml").write_text(deess + denoise)
    assert load("a").digest == load("b").digest
    assert load("a").digest != load("c").digest


def test_user_presets_are_found_by_name_and_by_path(config: Path, tmp_path: Path) -> None:
    (config / "mine.toml").write_text('description = "My own"\n[mix]\nkeep_loudness = true\n')
    assert load("mine").mix.keep_loudness
    assert [(e.name, e.description, e.path) for e in list_presets()][-1] == (
        "mine",
        "My own",
        config / "mine.toml",
    )
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text('[[mix.chain]]\neffect = "limiter"\n')
    assert [type(step).__name__ for step in load(str(elsewhere)).mix.chain] == ["Limiter"]


def test_a_built_in_name_always_means_the_built_in(config: Path) -> None:
    (config / "none.toml").write_text("[mix]\nkeep_loudness = true\n")
    assert not load("none").mix.keep_loudness


def test_files_are_part_of_the_package() -> None:
    folder = resources.files("presets")
    assert all((folder / f"{name}.toml").is_file() for name in (*NAMES, *GENRES))


def test_presets_can_be_loaded_without_the_engine() -> None:
    assert load_preset("none", {}).chains == {}


def test_problems_become_preset_errors() -> None:
    with pytest.raises(PresetError, match=r"no preset 'balancd'.*Did you mean 'balanced'.*none, fast"):
        load("balancd")


def test_the_wide_bands_of_an_equaliser_survive_the_file() -> None:
    bands = load("balanced").settings()["chains"]["vocals"][1]["bands"]
    assert [band["kind"] for band in bands] == ["high_pass", "bell"]


def test_a_preset_may_repair_before_the_separation_and_work_on_the_whole_song(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    step = 'effect = "limiter"\n'
    path.write_text(f'quality = "whole"\n[[repair]]\n{step}[[song]]\n{step}')
    preset = load(str(path))
    assert ([type(one).__name__ for one in preset.repair], list(preset.chains)) == (["Limiter"], ["song"])
    path.write_text(f"[[song]]\n{step}")
    assert load(str(path)).settings()["repair"] == []
    assert load(str(path)).digest != preset.digest


def test_fast_is_the_whole_song() -> None:
    assert load("fast").quality == "whole"
    assert "song" in load("fast").chains


def test_a_mix_has_one_loudness(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[mix]\ntarget_lufs = -14.0\n")
    assert load(str(path)).mix.target_lufs == -14.0
    path.write_text("[mix]\ntarget_lufs = -14.0\nkeep_loudness = true\n")
    with pytest.raises(PresetError, match=r"mine.toml, line 1: \[mix\]: 'keep_loudness' and 'target_lufs'"):
        load(str(path))
    path.write_text("[mix]\ntarget_lufs = 3.0\n")
    with pytest.raises(PresetError, match=r"line 2: .*target_lufs = 3.0 is not allowed"):
        load(str(path))

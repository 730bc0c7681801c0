from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.errors import OptionError
from watchers.settings import WatchSettings, check_together, settings_digest


def test_what_is_not_said_is_as_the_preset_has_it(tmp_path: Path) -> None:
    spec = WatchSettings(folder=tmp_path).base_spec()
    assert (spec.preset, spec.model, spec.options.shifts) == ("balanced", "htdemucs", 1)
    spec = WatchSettings(folder=tmp_path, quality="production", shifts=0, segment_s=5).base_spec()
    assert (spec.model, spec.options.shifts, spec.options.segment_s) == ("htdemucs_ft", 0, 5)


def test_where_results_go(tmp_path: Path) -> None:
    source = tmp_path / "album" / "song.wav"
    assert WatchSettings(folder=tmp_path).out_dir(source) == tmp_path / "album"
    assert WatchSettings(folder=tmp_path, out="stems").out_dir(source) == tmp_path / "stems" / "album"
    assert WatchSettings(folder=tmp_path, out=Path("/x")).out_dir(source) == Path("/x/album")


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings = WatchSettings(folder=Path("~/inbox/../in"), preset="~/mine.toml")
    assert settings.folder == tmp_path / "in"
    assert settings.preset == str(tmp_path / "mine.toml")


@pytest.mark.parametrize(
    "wrong",
    [
        {"folder": Path("inbox")},
        {"folder": Path("/music/song.stemfix")},
        {"patterns": ()},
        {"patterns": ("",)},
        {"preset": "./mine.toml"},
        {"stable_looks": 1},
        {"interval_s": 0},
        {"when_done": "delete"},
        {"poll": "sometimes"},
        {"colour": "red"},
    ],
)
def test_what_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WatchSettings(**{"folder": tmp_path, **wrong})


def test_folders_together(tmp_path: Path) -> None:
    settings = WatchSettings(folder=tmp_path)
    check_together([settings, WatchSettings(folder=tmp_path / "other")])
    (tmp_path / "link").symlink_to(tmp_path)
    for wrong in (
        [],
        [settings, settings],
        [settings, WatchSettings(folder=tmp_path / "link")],
        [WatchSettings(folder=tmp_path, preset="absent")],
        [WatchSettings(folder=tmp_path, quality="absent")],
    ):
        with pytest.raises(OptionError):
            check_together(wrong)


def test_the_digest_tells_settings_apart(tmp_path: Path) -> None:
    def digest(**settings: Any) -> str:
        return settings_digest(WatchSettings(**{"folder": tmp_path, **settings}).base_spec())

    assert digest() == digest(device="cpu", recursive=True, when_done="move", out=tmp_path)
    others = [digest(preset="none"), digest(seed=1), digest(model="x"), digest(out="x"), digest(stems=("a",))]
    assert len({digest(), *others}) == 6


def test_a_preset_that_was_edited_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    settings = WatchSettings(folder=tmp_path, preset=str(path))
    digests = set()
    for quality in ("standard", "draft"):
        path.write_text(f'quality = "{quality}"\n')
        digests.add(settings_digest(settings.base_spec()))
    path.write_text("[mix]\nkeep_loudness = true\n")
    assert len({*digests, settings_digest(settings.base_spec())}) == 3

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.audio.output_format import OutputFormat
from engine.errors import OptionError
from stemfix.options import JobOptions
from stemfix.settings import choose_settings
from stemfix.time_range import TimeRange

NOTHING_SAID = JobOptions(
    inputs=(Path("song.wav"),),
    recursive=False,
    quality=None,
    model=None,
    overlap=None,
    shifts=None,
    segment=None,
    seed=0,
    stems=None,
    residual="share",
    out=None,
    device="auto",
    output_format=None,
    time_range=TimeRange(),
    use_cache=True,
    force=False,
    yes=False,
    as_json=False,
    dry_run=False,
    quiet=False,
)


def choose(environment: dict[str, str] | None = None, **said: Any) -> Any:
    return choose_settings(replace(NOTHING_SAID, **said), "standard", environment or {})


def test_the_presets_quality_decides_what_nobody_else_does() -> None:
    chosen = choose()
    assert (chosen.quality, chosen.model) == ("standard", "htdemucs")
    assert (chosen.separation.overlap, chosen.separation.shifts) == (0.25, 1)
    assert chosen.output_format is OutputFormat.FLOAT32
    assert chosen.notes == ()


def test_a_quality_sets_model_overlap_shifts_and_format() -> None:
    chosen = choose(quality="audiophile")
    assert (chosen.model, chosen.separation.overlap, chosen.separation.shifts) == ("htdemucs_ft", 0.75, 4)
    assert choose(quality="development").output_format is OutputFormat.PCM16


def test_an_option_beats_the_quality() -> None:
    chosen = choose(quality="audiophile", model="htdemucs", overlap=0.0, shifts=0, segment=5.0)
    assert (chosen.model, chosen.separation.overlap, chosen.separation.shifts) == ("htdemucs", 0.0, 0)
    assert chosen.separation.segment_s == 5.0


ENVIRONMENT = {
    "DEMUCS_MODEL": "htdemucs_6s",
    "DEMUCS_SHIFTS": "3",
    "DEMUCS_OVERLAP": "0.5",
    "USE_FLOAT32": "false",
}


def test_the_environment_beats_the_quality_and_is_told() -> None:
    chosen = choose(ENVIRONMENT, quality="production")
    assert (chosen.model, chosen.separation.overlap, chosen.separation.shifts) == ("htdemucs_6s", 0.5, 3)
    assert chosen.output_format is OutputFormat.PCM16
    assert len(chosen.notes) == 4
    assert all(any(name in note for note in chosen.notes) for name in ENVIRONMENT)


def test_an_option_beats_the_environment_silently() -> None:
    chosen = choose(ENVIRONMENT, model="mdx", overlap=0.1, shifts=0, output_format=OutputFormat.FLAC24)
    assert (chosen.model, chosen.separation.overlap, chosen.separation.shifts) == ("mdx", 0.1, 0)
    assert chosen.output_format is OutputFormat.FLAC24
    assert chosen.notes == ()


def test_a_variable_that_is_empty_is_not_set() -> None:
    assert choose(dict.fromkeys(ENVIRONMENT, " ")) == choose()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEMUCS_SHIFTS", "many"),
        ("DEMUCS_SHIFTS", "-1"),
        ("DEMUCS_SHIFTS", "65"),
        ("DEMUCS_SHIFTS", "²"),
        ("DEMUCS_OVERLAP", "1"),
        ("DEMUCS_OVERLAP", "nan"),
        ("DEMUCS_OVERLAP", "a quarter"),
        ("USE_FLOAT32", "maybe"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(OptionError, match=name):
        choose({name: value})


def test_a_whole_song_is_separated_only_where_a_quality_or_a_model_is_asked_for() -> None:
    def fast(environment: dict[str, str] | None = None, **said: Any) -> Any:
        return choose_settings(replace(NOTHING_SAID, **said), "whole", environment or {})

    assert fast().model == "whole"
    assert fast({"DEMUCS_MODEL": "htdemucs_ft"}).model == "whole"
    assert fast(model="htdemucs_6s").model == "htdemucs_6s"
    assert (fast(quality="draft").model, fast(quality="draft").separation.shifts) == ("htdemucs", 0)

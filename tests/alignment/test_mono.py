"""Tone and width may change; mid that turns into side is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.alignment.mono import MonoCompatibility, mono_compatibility
from engine.alignment.verdict import Verdict
from engine.errors import AlignmentError

RATE = 44_100


@pytest.fixture
def mono(buffer: Any) -> Any:
    def measure(before: Any, after: Any) -> MonoCompatibility:
        return mono_compatibility(buffer(before), buffer(after))

    return measure


def widen(song: Any, factor: float) -> Any:
    mid, side = song.mean(0), (song[0] - song[1]) / 2 * factor
    return np.stack([mid + side, mid - side])


def test_nothing_changes_nothing(song: Any, mono: Any) -> None:
    found = mono(song, song)
    assert found.verdict is Verdict.PASS
    assert found.worst_db == pytest.approx(0.0, abs=1e-6)
    assert len(found.bands) > 20


@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_width_passes(song: Any, mono: Any, factor: float) -> None:
    found = mono(song, widen(song, factor))
    assert found.verdict is Verdict.PASS
    assert found.worst_db == pytest.approx(0.0, abs=0.01)


def test_a_delayed_mid_in_the_side_passes(song: Any, mono: Any) -> None:
    echo = 0.5 * np.roll(song.mean(0), 529)
    assert mono(song, song + np.stack([echo, -echo])).verdict is Verdict.PASS


def test_tone_passes(song: Any, equalise: Any, mono: Any) -> None:
    found = mono(song, equalise(song))
    assert found.verdict is Verdict.PASS
    assert abs(found.worst_db) < 0.2


def test_tone_and_width_together_pass(song: Any, equalise: Any, mono: Any) -> None:
    assert mono(song, equalise(widen(song, 2.0))).verdict is Verdict.PASS


def test_compression_passes(song: Any, compress: Any, mono: Any) -> None:
    assert mono(song, compress(song)).verdict is Verdict.PASS


def test_haas_delay_fails(song: Any, equalise: Any, mono: Any) -> None:
    late = np.stack([song[0], np.roll(song[1], int(0.012 * RATE))])
    found = mono(song, late)
    assert found.verdict is Verdict.FAIL
    assert found.worst_db < -3
    assert mono(song, equalise(late)).verdict is Verdict.FAIL


def test_an_inverted_channel_fails(song: Any, mono: Any) -> None:
    assert mono(song, song * [[1.0], [-1.0]]).verdict is Verdict.FAIL


def test_a_mono_recording_has_nothing_to_lose(song: Any, mono: Any) -> None:
    assert mono(song[:1], song[:1]) == MonoCompatibility(verdict=Verdict.PASS)


@pytest.mark.parametrize("frames", [0, 1, 100, 5000])
def test_short_recordings_and_silence_pass(mono: Any, frames: int) -> None:
    assert mono(np.zeros((2, frames)), np.zeros((2, frames))).verdict is Verdict.PASS


def test_different_shapes_are_refused(song: Any, mono: Any) -> None:
    with pytest.raises(AlignmentError, match="can't be compared"):
        mono(song, song[:, :-1])

"""A constant delay comes out to -90 dB; anything else is left alone and said so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.alignment.correct
from engine.alignment.correct import correct
from engine.alignment.estimate import estimate_alignment
from engine.errors import AlignmentError

RATE = 44_100
#: Null after the correction, re the song's own level, away from the ends.
DEEPEST_NULL_DB = -90.0


def null_db(a: Any, b: Any, margin: int) -> float:
    inner = slice(margin, -margin)
    error = a.astype(np.float64)[:, inner] - b[:, inner]
    return float(10 * np.log10(np.square(error).mean() / np.square(b).mean() + 1e-30))


@pytest.mark.parametrize("delay", [0.3, -0.5, 17.25, -400.6])
def test_fractional_delays_are_undone(song: Any, delayed: Any, buffer: Any, delay: float) -> None:
    late = buffer(-delayed(song, delay))
    fixed = correct(late, estimate_alignment(buffer(song), late))
    assert fixed.shape == late.shape
    assert null_db(fixed.to_array(), song, 10_000) < DEEPEST_NULL_DB


@pytest.mark.parametrize("delay", [1, -1102])
def test_whole_delays_are_undone_bit_by_bit(song: Any, buffer: Any, delay: int) -> None:
    late = buffer(np.roll(song, delay, axis=1))
    fixed = correct(late, estimate_alignment(buffer(song), late)).to_array()
    assert np.array_equal(fixed[:, 2000:-2000], song.astype(np.float32)[:, 2000:-2000])


def test_polarity_alone_is_undone(song: Any, buffer: Any) -> None:
    late = buffer(-song)
    fixed = correct(late, estimate_alignment(buffer(song), late)).to_array()
    assert np.array_equal(fixed, song.astype(np.float32))


def test_gain_is_undone_where_asked(song: Any, delayed: Any, buffer: Any) -> None:
    late = buffer(0.5 * delayed(song, 2.5))
    found = estimate_alignment(buffer(song), late)
    assert null_db(correct(late, found, gain=True).to_array(), song, 10_000) < DEEPEST_NULL_DB
    assert null_db(2 * correct(late, found).to_array(), song, 10_000) < DEEPEST_NULL_DB


def test_blocks_do_not_show(
    song: Any, delayed: Any, buffer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = buffer(delayed(song, 3.3))
    found = estimate_alignment(buffer(song), late)
    whole = correct(late, found).to_array()
    monkeypatch.setattr(engine.alignment.correct, "BLOCK_FRAMES", 30_000)
    pieces = correct(late, found, tmp_path / "fixed.f32")
    assert pieces.path == tmp_path / "fixed.f32"
    np.testing.assert_allclose(pieces.to_array(), whole, atol=1e-7)


def test_nothing_to_correct_is_said(song: Any, delayed: Any, buffer: Any) -> None:
    for other in (song, 0.5 * song, delayed(song, 0.02)):
        with pytest.raises(AlignmentError, match="too small"):
            correct(buffer(other), estimate_alignment(buffer(song), buffer(other)))


def test_silence_is_refused(song: Any, buffer: Any) -> None:
    silence = buffer(np.zeros_like(song))
    with pytest.raises(AlignmentError, match="silent"):
        correct(silence, estimate_alignment(buffer(song), silence))


def test_made_up_phases_are_refused(song: Any, scramble: Any, buffer: Any) -> None:
    other = buffer(scramble(song))
    with pytest.raises(AlignmentError, match="could do harm"):
        correct(other, estimate_alignment(buffer(song), other))


def test_drift_is_refused(song_of: Any, buffer: Any) -> None:
    import soxr

    song = song_of(10.0)
    slow = buffer(soxr.resample(song.T, 1_000_000, 1_000_020, "VHQ").T)
    with pytest.raises(AlignmentError, match="ppm"):
        correct(slow, estimate_alignment(buffer(song), slow))


def test_a_delay_that_is_not_constant_is_refused(song: Any, delayed: Any, buffer: Any) -> None:
    parts = np.array_split(np.arange(song.shape[1]), 8)
    other = np.empty_like(song)
    for index, part in enumerate(parts):
        other[:, part] = delayed(song, (0.2, 0.6, 1.0, 1.4)[index % 4])[:, part]
    found = estimate_alignment(buffer(song), buffer(other))
    with pytest.raises(AlignmentError, match="not constant"):
        correct(buffer(other), found)


def test_too_short_to_be_sure_is_refused(song: Any, buffer: Any) -> None:
    short = song[:, RATE : 2 * RATE]
    late = buffer(np.roll(short, 3, axis=1))
    with pytest.raises(AlignmentError, match="four seconds"):
        correct(late, estimate_alignment(buffer(short), late))

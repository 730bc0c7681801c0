"""Width: the mono sum is untouched, and left and right never turn against each other."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.width import Width

RATE = 44_100


def stereo(side: float, seed: int = 0, frames: int = 3 * RATE) -> Audio:
    """Noise with `side` times as much in the side channel as in the middle."""
    middle, difference = np.random.default_rng(seed).standard_normal((2, frames)) * 0.1
    return np.stack((middle + side * difference, middle - side * difference)).astype(np.float32)


def side_rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean((audio[0] - audio[1]) ** 2)))


@pytest.mark.parametrize("gain_db", [-12.0, -3.0, 3.0, 6.0])
def test_the_mono_sum_is_untouched(gain_db: float) -> None:
    audio = stereo(0.3)
    result = Width(gain_db=gain_db).apply(audio, RATE)
    before, after = (a.sum(axis=0, dtype=np.float64) for a in (audio, result))
    assert 10 * np.log10(np.mean((after - before) ** 2) / np.mean(before**2)) < -120
    # A hundredth of the noise lies below the crossover and keeps its level.
    assert side_rms(result) / side_rms(audio) == pytest.approx(10 ** (gain_db / 20), rel=0.06)


def test_the_low_end_keeps_its_width() -> None:
    t = np.arange(3 * RATE) / RATE
    low, high = np.sin(2 * np.pi * 40 * t), np.sin(2 * np.pi * 4000 * t)
    middle = 4 * np.random.default_rng(0).standard_normal(t.size)
    audio = np.stack((middle + low + high, middle - low - high)).astype(np.float32)
    result = Width(gain_db=6.0, crossover_hz=400).apply(audio, RATE)
    side = (result[0] - result[1]) / 2
    assert abs(np.mean(side * low) * 2) == pytest.approx(1.0, abs=0.02)
    assert abs(np.mean(side * high) * 2) == pytest.approx(10 ** (6 / 20), abs=0.02)


@pytest.mark.parametrize("side", [0.5, 0.9, 0.999])
def test_the_correlation_does_not_go_negative(side: float) -> None:
    result = Width(gain_db=9.0, crossover_hz=60).apply(stereo(side), RATE)
    assert np.corrcoef(result)[0, 1] > -0.02


def test_what_is_out_of_phase_already_is_not_widened() -> None:
    audio = stereo(3.0)
    assert np.array_equal(Width(gain_db=6.0).apply(audio, RATE), audio)


def test_what_is_out_of_phase_may_be_narrowed() -> None:
    audio = stereo(3.0)
    assert side_rms(Width(gain_db=-6.0).apply(audio, RATE)) < 0.6 * side_rms(audio)


@pytest.mark.parametrize("channels", [1, 3])
def test_only_stereo_has_a_width(channels: int) -> None:
    audio = np.random.default_rng(0).standard_normal((channels, 9000)).astype(np.float32)
    assert np.array_equal(Width().apply(audio, RATE), audio)


def test_two_equal_channels_have_no_side() -> None:
    audio = np.repeat(np.random.default_rng(0).standard_normal((1, 9000)).astype(np.float32), 2, axis=0)
    source = AudioBuffer.of(audio, RATE)
    assert not Width().process(source, source.like())["applied"]

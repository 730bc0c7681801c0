"""Deshimmer: tones that flicker up in steady sound are lowered, notes and noise are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.metrics.shimmer_index import shimmer_index
from engine.repair.deshimmer import Deshimmer

RATE = 44_100
Measure = Callable[[Audio, Audio], float]


def shimmering(audio: Audio, per_second: float = 120, seed: int = 2) -> Audio:
    """`audio` with tones of 25 to 120 ms at random places from 4 to 12 kHz, 21 dB over what is there."""
    rng = np.random.default_rng(seed)
    frames = audio.shape[1]
    result = audio.copy()
    for _ in range(int(per_second * frames / RATE)):
        count = int(rng.uniform(0.025, 0.12) * RATE)
        start = int(rng.integers(0, frames - count))
        hz = rng.uniform(4000, 12_000)
        around = audio[:, max(start - 1024, 0) : start + count + 1024].mean(axis=0)
        power = np.abs(np.fft.rfft(around * np.hanning(around.size))) ** 2
        middle, reach = int(hz * around.size / RATE), max(int(150 * around.size / RATE), 1)
        density = power[middle - reach : middle + reach + 1].mean() / (around.size * 0.375)
        # 21 dB over the noise in one bin of a root-Hann window of 2048.
        amplitude = np.sqrt(density * 10**2.1) * np.pi / 64
        burst = amplitude * np.hanning(count) * np.sin(2 * np.pi * hz * np.arange(count) / RATE + hz)
        result[:, start : start + count] += burst.astype(np.float32) * rng.uniform(0.7, 1.3, (2, 1))
    return result.astype(np.float32)


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert Deshimmer().analyse(AudioBuffer.of(clean, RATE)) is None
    assert Deshimmer().analyse(AudioBuffer.of(clean[:1], RATE)) is None


@pytest.mark.parametrize("color", [0.0, 0.9])
def test_leaves_noise_alone(noise: Callable[..., Audio], color: float) -> None:
    audio = noise(8 * RATE)
    audio[:, 1:] -= np.float32(color) * audio[:, :-1]
    assert Deshimmer().analyse(AudioBuffer.of(audio, RATE)) is None


@pytest.fixture(scope="module")
def damaged_and_truth() -> tuple[Audio, Audio]:
    """Steady noise with a slow tone under it, and the same with shimmer."""
    rng = np.random.default_rng(0)
    t = np.arange(6 * RATE) / RATE
    truth = 0.1 * np.sin(2 * np.pi * 220 * t) + 0.02 * rng.standard_normal((2, t.size))
    truth = truth.astype(np.float32)
    return shimmering(truth), truth


def test_comes_nearer_to_the_truth(damaged_and_truth: tuple[Audio, Audio], si_sdr_db: Measure) -> None:
    damaged, truth = damaged_and_truth
    result = Deshimmer().apply(damaged, RATE)
    assert si_sdr_db(result, truth) > si_sdr_db(damaged, truth) + 1
    before, after = (shimmer_index(AudioBuffer.of(a, RATE)).birdies_percent for a in (damaged, result))
    assert before is not None
    assert after is not None
    assert after < before


def test_below_and_above_its_band_nothing_changes(damaged_and_truth: tuple[Audio, Audio]) -> None:
    damaged, _ = damaged_and_truth
    change = np.abs(np.fft.rfft(Deshimmer().apply(damaged, RATE) - damaged)) ** 2
    hz = np.arange(change.shape[1]) * RATE / damaged.shape[1]
    outside = (hz < 3900) | (hz > 12_100)
    assert change.any()
    assert change[:, outside].sum() < 1e-3 * change.sum()


def test_reports_how_many(damaged_and_truth: tuple[Audio, Audio]) -> None:
    source = AudioBuffer.of(damaged_and_truth[0], RATE)
    report = Deshimmer().process(source, source.like())
    assert report["artifact"] == "shimmer"
    assert 30 < report["figures"]["flickering_tones_per_s"] < 130

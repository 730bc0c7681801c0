"""PreEcho: the noise before hits goes from a drum stem; a mix and a clean stem stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.pre_echo import PreEcho

RATE = 44_100
Item = Callable[[str], Audio]
Measure = Callable[[Audio, Audio], float]


def coded(audio: Audio, step: float = 0.45, size: int = 2048) -> Audio:
    """`audio` through a sine-windowed MDCT whose bands are quantised coarsely, as a transform coder does."""

    rng = np.random.default_rng(3)
    window = np.sin(np.pi * (np.arange(2 * size) + 0.5) / (2 * size))
    edges = np.unique(np.concatenate(([0], np.logspace(np.log10(4), np.log10(size), 26).astype(int))))
    out = np.zeros((len(audio), audio.shape[1] + 4 * size))
    padded = np.pad(audio.astype(np.float64), ((0, 0), (size, 3 * size)))
    phase = np.outer(np.arange(2 * size) + 0.5 + size / 2, np.arange(size) + 0.5) * np.pi / size
    basis = np.cos(phase) * window[:, None] * np.sqrt(2 / size)
    for channel, samples in enumerate(padded):
        for start in range(0, len(samples) - 2 * size, size):
            lines = samples[start : start + 2 * size] @ basis
            for low, high in pairwise(edges):
                width = step * np.sqrt(np.mean(lines[low:high] ** 2)) + 1e-12
                lines[low:high] = np.floor(lines[low:high] / width + rng.random(high - low)) * width
            out[channel, start : start + 2 * size] += basis @ lines
    return out[:, size : size + audio.shape[1]].astype(np.float32)


def hits() -> Audio:
    """Four seconds of snares over a little room noise."""
    rng = np.random.default_rng(4)
    t = np.arange(4 * RATE) / RATE
    beat = t % 0.4
    snare = np.exp(-beat / 0.05) * rng.standard_normal((2, t.size)) * (beat > 0.001)
    return (0.2 * snare + 1e-4 * rng.standard_normal((2, t.size))).astype(np.float32)


@pytest.fixture(scope="module")
def damaged() -> Audio:
    return coded(hits())


def before_hits(audio: Audio) -> Audio:
    """From 25 to 7 ms before each hit: no window of 6 ms tells what comes later from the hit."""
    starts = [int(beat * 0.4 * RATE) for beat in range(1, 10)]
    return np.concatenate(
        [audio[:, at - int(0.025 * RATE) : at - int(0.007 * RATE)] for at in starts], axis=1
    )


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert PreEcho().analyse(AudioBuffer.of(clean, RATE)) is None
    assert PreEcho().analyse(AudioBuffer.of(clean[:1], RATE)) is None


def test_the_noise_before_hits_goes(damaged: Audio, si_sdr_db: Measure) -> None:
    truth = hits()
    repaired = PreEcho().apply(damaged, RATE)
    left, right = (
        10 * np.log10(np.square(before_hits(audio) - before_hits(truth)).mean())
        for audio in (damaged, repaired)
    )
    assert right < left - 10
    assert si_sdr_db(repaired, truth) > si_sdr_db(damaged, truth)


def test_a_mix_with_the_same_damage_stays(damaged: Audio) -> None:
    t = np.arange(damaged.shape[1]) / RATE
    pad = 0.05 * sum(np.sin(2 * np.pi * 220 * k * t + k) / k for k in range(1, 40))
    mix = (damaged + pad).astype(np.float32)
    repaired = PreEcho().apply(mix, RATE)
    assert np.square(repaired - mix).mean() < 1e-4 * np.square(mix).mean()


def test_reports_the_hits(damaged: Audio) -> None:
    source = AudioBuffer.of(damaged, RATE)
    report = PreEcho().process(source, source.like())
    assert 8 <= report["places_total"] <= 9
    assert all(place["end_s"] - place["start_s"] < 0.1 for place in report["places"])

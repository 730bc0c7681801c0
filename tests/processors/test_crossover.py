"""Crossover: bands are apart, in place, and sum to the input."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.crossover import below, split, split_blocks

RATE = 44_100
EDGES = (120.0, 1000.0, 6000.0)


def noise(frames: int = RATE, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, frames)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 44_100, 192_000])
@pytest.mark.parametrize("frames", [1, 50, 20_000])
def test_bands_sum_to_the_input(rate: int, frames: int) -> None:
    audio = noise(frames)
    bands = split(audio, EDGES, rate)
    assert len(bands) == 4
    np.testing.assert_allclose(sum(bands), audio, atol=2e-6)


def test_bands_are_apart() -> None:
    t = np.arange(2 * RATE) / RATE
    for band, hz in enumerate((50.0, 350.0, 2500.0, 13_000.0)):
        tone = np.sin(2 * np.pi * hz * t)[None].astype(np.float32)
        inside = [float(np.std(part[0, RATE // 2 : -RATE // 2])) for part in split(tone, EDGES, RATE)]
        assert inside[band] == pytest.approx(np.sqrt(0.5), rel=0.01)
        assert max(level for other, level in enumerate(inside) if other != band) < 0.01


def test_an_impulse_stays_in_place() -> None:
    impulse = np.zeros((1, RATE), np.float32)
    impulse[0, RATE // 2] = 1
    for band in split(impulse, EDGES, RATE):
        middle = band[0, 1:]
        np.testing.assert_allclose(middle, middle[::-1], atol=1e-6)


def test_an_edge_that_the_rate_does_not_hold_splits_nothing_off() -> None:
    audio = noise(1000)
    assert below(audio, 4000.0, 8000) is audio


def test_blocks_are_parts_of_the_whole() -> None:
    audio = noise(3 * RATE)
    whole = split(audio, EDGES, RATE)
    for start, bands in split_blocks(AudioBuffer.of(audio, RATE), EDGES, 1 << 14):
        for band, expected in zip(bands, whole, strict=True):
            np.testing.assert_allclose(band, expected[:, start : start + band.shape[1]], atol=1e-5)

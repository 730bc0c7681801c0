"""Deresonate: tones that stand still are taken out, drones and notes stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.deresonate import Deresonate

RATE = 44_100
LINES_HZ = (2756.25, 6151.7, 8268.75, 11_025.3)
Item = Callable[[str], Audio]
Measure = Callable[[Audio, Audio], float]


def ringing(audio: Audio, level_db: float) -> Audio:
    """`audio` with tones that each lie `level_db` over its RMS."""
    t = np.arange(audio.shape[1]) / RATE
    amplitude = np.sqrt(2 * np.mean(audio**2)) * 10 ** (level_db / 20)
    tones = sum(np.cos(2 * np.pi * hz * t + hz) for hz in LINES_HZ)
    return (audio + amplitude * tones).astype(np.float32)


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert Deresonate().analyse(AudioBuffer.of(clean, RATE)) is None


def test_leaves_a_drone_with_a_bright_top_alone() -> None:
    rng, t = np.random.default_rng(4), np.arange(8 * RATE) / RATE
    drone = sum(np.sin(2 * np.pi * 220 * k * t + k) / k for k in range(1, 30))
    audio = (0.05 * drone + 0.002 * rng.standard_normal((2, t.size))).astype(np.float32)
    assert Deresonate().analyse(AudioBuffer.of(audio, RATE)) is None


@pytest.mark.parametrize(("name", "level_db", "gain_db"), [("demo", -40, 9), ("demo vocals", -45, 5)])
def test_comes_nearer_to_the_truth(
    item: Item, si_sdr_db: Measure, name: str, level_db: float, gain_db: float
) -> None:
    truth = item(name)
    damaged = ringing(truth, level_db)
    assert si_sdr_db(Deresonate().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) + gain_db


def test_reports_the_frequencies(item: Item) -> None:
    source = AudioBuffer.of(ringing(item("demo"), -36), RATE)
    report = Deresonate().process(source, source.like())
    assert report["artifact"] == "standing resonances"
    found = [(place["low_hz"] + place["high_hz"]) / 2 for place in report["places"]]
    assert found == pytest.approx(LINES_HZ, abs=0.3)

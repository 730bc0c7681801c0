"""Dehum: the mains go, the music stays, whatever it plays on the same frequencies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.dehum import Dehum

RATE = 44_100
Item = Callable[[str], Audio]
Measure = Callable[[Audio, Audio], float]


def humming(audio: Audio, snr_db: float, mains_hz: float = 50.0, wander_hz: float = 0.0) -> Audio:
    """`audio` with eight harmonics of the mains, a little different in both channels."""
    t = np.arange(audio.shape[1]) / RATE
    phase = 2 * np.pi * (mains_hz * t + wander_hz * 4 / (2 * np.pi) * np.sin(2 * np.pi * t / 4))
    left = sum(np.sin(k * phase + k) / k for k in range(1, 9))
    right = sum(np.sin(k * phase + 2 * k) / k for k in range(1, 9))
    hum = np.stack([left, 0.8 * right])[: len(audio)]
    level = np.sqrt(np.mean(np.square(audio, dtype=np.float64)) / np.mean(hum**2)) * 10 ** (-snr_db / 20)
    result: Audio = (audio + level * hum).astype(np.float32)
    return result


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert Dehum().analyse(AudioBuffer.of(clean, RATE)) is None
    assert Dehum().analyse(AudioBuffer.of(clean[:1], RATE)) is None


@pytest.mark.parametrize(
    ("name", "mains_hz", "gain_db"),
    [("plucks", 50.0, 8), ("plucks", 60.0, 6), ("demo vocals", 50.0, 10), ("demo vocals", 49.95, 8)],
)
def test_comes_nearer_to_the_truth(
    item: Item, si_sdr_db: Measure, name: str, mains_hz: float, gain_db: float
) -> None:
    truth = item(name)
    damaged = humming(truth, 25, mains_hz)
    assert si_sdr_db(Dehum().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) + gain_db


def test_a_loop_in_strict_tempo_is_not_taken_for_hum_beside_hum(item: Item, si_sdr_db: Measure) -> None:
    truth = item("fast hats")  # its kick comes twice a second, so 50 and 60 Hz are lines of it
    damaged = humming(truth, 25)
    assert si_sdr_db(Dehum().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) - 0.5


def test_follows_mains_that_wander(item: Item, si_sdr_db: Measure) -> None:
    truth = item("plucks")
    damaged = humming(truth, 25, wander_hz=0.02)
    assert si_sdr_db(Dehum().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) + 6


def test_a_bass_line_on_the_frequencies_of_the_mains_is_music() -> None:
    t = np.arange(10 * RATE) / RATE
    step = t % 0.5
    notes = np.array([100.0, 150.0, 100.0, 200.0])[(t // 0.5).astype(int) % 4]
    bass = np.exp(-step / 0.3) * np.sin(2 * np.pi * notes * step) * 0.2
    assert Dehum().analyse(AudioBuffer.of(np.stack([bass, bass]), RATE)) is None


def test_reports_the_fundamental(item: Item) -> None:
    source = AudioBuffer.of(humming(item("plucks"), 25, 60.0), RATE)
    report = Dehum().process(source, source.like())
    assert report["figures"]["fundamental_hz"] == 60
    assert report["figures"]["below_music_db"] == pytest.approx(-25, abs=2)
    assert "hum" in report["found"]

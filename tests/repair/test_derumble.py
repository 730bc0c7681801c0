"""Derumble: an offset and rumble go, a kick drum keeps its lowest octave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.derumble import Derumble

RATE = 44_100
Item = Callable[[str], Audio]
Measure = Callable[[Audio, Audio], float]


def rumble(audio: Audio, level_db: float) -> Audio:
    """Noise between 3 and 15 Hz, the same in both channels, as wind or a turntable makes it."""
    rng = np.random.default_rng(2)
    spectrum = np.fft.rfft(rng.standard_normal(audio.shape[1]))
    hz = np.fft.rfftfreq(audio.shape[1], 1 / RATE)
    noise = np.fft.irfft(np.where((hz > 3) & (hz < 15), spectrum, 0), audio.shape[1])
    level = np.sqrt(np.mean(np.square(audio, dtype=np.float64))) * 10 ** (level_db / 20)
    result: Audio = (noise * level / noise.std()).astype(np.float32)
    return result


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert Derumble().analyse(AudioBuffer.of(clean, RATE)) is None
    assert Derumble().analyse(AudioBuffer.of(clean[:1], RATE)) is None


def test_a_kick_drum_keeps_its_lowest_octave() -> None:
    t = np.arange(8 * RATE) / RATE
    beat = t % 0.5
    louder = np.repeat([1.0, 0.3, 0.6, 0.2, 0.9, 0.4, 0.8, 0.25], RATE)
    kick = louder * np.exp(-beat / 0.15) * (np.sin(2 * np.pi * 12 * beat) + np.sin(2 * np.pi * 90 * beat))
    audio = np.stack([kick] * 2).astype(np.float32) * np.float32(0.1)
    assert Derumble().analyse(AudioBuffer.of(audio, RATE)) is None


@pytest.mark.parametrize("name", ["plucks", "held chords", "demo"])
def test_rumble_goes_and_the_music_stays(item: Item, si_sdr_db: Measure, name: str) -> None:
    truth = item(name)
    damaged = truth + rumble(truth, -20)
    repaired = Derumble().apply(damaged, RATE)
    inside = np.s_[:, RATE:-RATE]
    assert si_sdr_db(repaired[inside], truth[inside]) > si_sdr_db(damaged[inside], truth[inside]) + 12


def test_an_offset_is_taken_away_exactly(item: Item) -> None:
    truth = item("plucks")
    truth = truth - truth.mean(axis=1, keepdims=True)
    offset = np.array([[0.02], [-0.01]], np.float32)
    repaired = Derumble().apply(truth + offset, RATE)
    assert np.abs(repaired - truth).max() < 1e-6
    source = AudioBuffer.of(truth + offset, RATE)
    assert "offset" in Derumble().process(source, source.like())["found"]

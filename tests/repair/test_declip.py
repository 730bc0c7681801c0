"""Declip: peaks come back, what was not clipped stays to the bit, and clean sound is not touched."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors import processor as processor_module
from engine.repair.clip_level import find_clip_levels
from engine.repair.declip import Declip

RATE = 44_100


@lru_cache
def song(rate: int = RATE, seconds: float = 1.2) -> Audio:
    """Chords that swell and fade, a little noise; the channels differ."""
    t = np.arange(int(rate * seconds)) / rate
    notes = np.random.default_rng(1).uniform(80, min(1500, rate / 12), (2, 8))
    swell = 0.8 + 0.2 * np.sin(2 * np.pi * 6 * t)
    both = [swell * sum(np.sin(2 * np.pi * f * t + f) / (1 + f / 400) for f in each) for each in notes]
    audio = np.stack(both) + np.random.default_rng(2).standard_normal((2, t.size)) * 1e-3
    result = (audio / np.abs(audio).max()).astype(np.float32)
    result.flags.writeable = False
    return result


def sdr_db(truth: Audio, estimate: Audio, where: np.ndarray) -> float:
    truth, error = truth[where].astype(np.float64), (estimate - truth)[where].astype(np.float64)
    return 10 * float(np.log10((truth**2).sum() / (error**2).sum()))


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
def test_clipped_peaks_come_back(rate: int) -> None:
    truth = song(rate)
    damaged = np.clip(truth, -0.7, 0.7)
    cut = np.abs(truth) > 0.7 * (1 - 1e-3)
    repaired = Declip().apply(damaged, rate)
    assert sdr_db(truth, repaired, cut) > sdr_db(truth, damaged, cut) + 5
    assert np.array_equal(repaired[~cut], damaged[~cut])
    assert np.all(np.abs(repaired[cut]) >= 0.7 * (1 - 2e-3))


@pytest.mark.parametrize("gain", [1.0, 0.3, 0.001, 30.0])
def test_the_level_at_which_it_was_clipped_does_not_matter(gain: float) -> None:
    damaged = np.clip(song(), -0.6, 0.6) * np.float32(gain)
    levels = find_clip_levels(AudioBuffer.of(damaged, RATE))
    assert levels is not None
    for both in levels.of:
        for level in both:
            assert level == pytest.approx([0.6 * gain], rel=1e-4)


def test_signs_and_channels_have_levels_of_their_own() -> None:
    truth = song()
    damaged = np.stack([np.clip(truth[0], -2, 0.5), np.clip(truth[1], -0.5, 0.6)])
    levels = find_clip_levels(AudioBuffer.of(damaged, RATE))
    assert levels is not None
    assert [[list(np.round(level, 3)) for level in both] for both in levels.of] == [
        [[0.5], []],
        [[0.6], [0.5]],
    ]
    repaired = Declip().apply(damaged, RATE)
    cut = np.abs(damaged) > 0.5 * (1 - 1e-3)
    assert sdr_db(truth, repaired, cut) > sdr_db(truth, damaged, cut) + 5
    assert np.array_equal(repaired[~cut], damaged[~cut])


def test_two_recordings_one_after_the_other() -> None:
    first, second = np.clip(song(), -0.6, 0.6) * np.float32(0.5), np.clip(song()[::-1], -0.6, 0.6)
    levels = find_clip_levels(AudioBuffer.of(np.concatenate([first, second], axis=1), RATE))
    assert levels is not None
    assert levels.of[0][0] == pytest.approx([0.3, 0.6], rel=1e-3)


def test_sixteen_bits_hide_nothing() -> None:
    damaged = (np.round(np.clip(song(), -0.5, 0.5) * 32_767) / 32_768).astype(np.float32)
    assert find_clip_levels(AudioBuffer.of(damaged, RATE)) is not None


def test_a_block_is_not_an_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = np.clip(song(), -0.7, 0.7)
    whole = Declip().apply(damaged, RATE)
    monkeypatch.setattr(processor_module, "BLOCK_FRAMES", 1 << 14)
    error = Declip().apply(damaged, RATE) - whole
    assert np.sqrt(np.mean(error**2)) < 1e-6


T = np.arange(RATE) / RATE
CLEAN = {
    "music": song(),
    "16 bits": (np.round(song() * 0.1 * 32_767) / 32_768).astype(np.float32),
    "8 bits": (np.round(song() * 127) / 128).astype(np.float32),
    "square wave": np.sign(np.sin(2 * np.pi * 220 * T))[None],
    "pulse wave": np.where((220 * T) % 1 < 0.1, 1.0, -1.0)[None],
    "deep sine": np.sin(2 * np.pi * 45 * T)[None],
    "saturated": np.tanh(4 * np.sin(2 * np.pi * 50 * T))[None],
    "constant": np.full((2, RATE), 0.5),
    "silence": np.zeros((2, RATE)),
    "one sample": np.ones((1, 1)),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_sound_is_not_touched(name: str) -> None:
    source = AudioBuffer.of(CLEAN[name], RATE)
    into = source.like()
    assert not Declip().process(source, into)["applied"]
    assert np.array_equal(into.to_array(), source.to_array())


def test_a_clipped_square_wave_under_music_stays_in_bounds() -> None:
    mixed = np.clip(song()[:, :RATE] + 1.5 * np.sign(np.sin(2 * np.pi * 110 * T)), -1, 1)
    result = Declip().apply(mixed, RATE)
    assert np.isfinite(result).all()
    assert np.abs(result).max() <= 3.0


def test_the_report_says_where() -> None:
    truth = song()
    damaged = np.where(np.arange(truth.shape[1]) < RATE, np.clip(truth, -0.5, 0.5), truth * 0.4)
    source = AudioBuffer.of(damaged.astype(np.float32), RATE)
    found = Declip().analyse(source)
    assert found is not None
    report = Declip().describe(found)
    assert report["artifact"] == "clipping"
    assert "-6.0 dBFS" in report["found"]
    assert report["places_total"] >= 1
    assert all(place["end_s"] <= 1.05 for place in report["places"])

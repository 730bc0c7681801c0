"""Declick: clicks go, the sound between them stays to the bit, and music without clicks is not touched."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors import processor as processor_module
from engine.repair.click_detector import find_clicks
from engine.repair.declick import Declick
from engine.repair.prediction import interpolate, prediction_error

RATE = 44_100


@lru_cache
def song(rate: int = RATE, seconds: float = 4.0) -> Audio:
    """Plucked chords, hi-hats with sharp attacks and a little noise; the channels differ."""
    generator = np.random.default_rng(3)
    t = np.arange(int(rate * seconds)) / rate
    beat = t % 0.5
    pluck = np.exp(-6 * beat) * (1 - np.exp(-beat / 0.003))
    tones = [pluck * np.sin(2 * np.pi * f * t + f) for f in (97.0, 220.3, 441.0, 883.0)]
    hat = np.exp(-((t + 0.25) % 0.5) * 60) * generator.standard_normal(t.size)
    noise = generator.standard_normal((2, t.size)) * 0.003
    audio = np.stack([sum(tones) + 0.2 * hat, 0.7 * sum(tones[1:]) + 0.3 * hat]) * 0.3 + noise
    result = audio.astype(np.float32)
    result.flags.writeable = False
    return result


def clicked(audio: Audio, rate: int = RATE) -> tuple[Audio, np.ndarray]:
    """`audio` with clicks of 1 to 8 samples in one channel or both, and where they are."""
    generator = np.random.default_rng(4)
    damaged, places = audio.copy(), np.zeros(audio.shape, bool)
    for start in range(int(0.1 * rate), audio.shape[1] - int(0.1 * rate), int(0.23 * rate)):
        length = int(generator.integers(1, 9))
        shape = generator.uniform(0.2, 0.8) * np.exp(-np.arange(length) / 4) * generator.choice([-1, 1])
        for channel in ([0], [1], [0, 1])[int(generator.integers(3))]:
            damaged[channel, start : start + length] += shape
            places[channel, start : start + length] = True
    return damaged.astype(np.float32), places


def error_db(truth: Audio, estimate: Audio) -> float:
    truth, error = truth.astype(np.float64), (estimate - truth).astype(np.float64)
    return 10 * float(np.log10((error**2).sum() / (truth**2).sum() + 1e-30))


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 96_000, 192_000])
def test_clicks_go(rate: int) -> None:
    truth = song(rate)
    damaged, places = clicked(truth, rate)
    repaired = Declick().apply(damaged, rate)
    # The music goes up to half of the lowest rate: less of it is foretold there.
    assert error_db(truth, repaired) < error_db(truth, damaged) - (6 if rate > 8000 else 4)
    margin = 2 + rate // 4000
    near = np.stack([np.convolve(each, np.ones(2 * margin + 1), "same") > 0 for each in places])
    changed = (repaired != damaged) & ~near
    # What was taken for a click by mistake is next to nothing.
    assert changed.mean() < 1e-3


def test_dropouts_are_filled() -> None:
    t = np.arange(3 * RATE) / RATE
    truth = sum(np.sin(2 * np.pi * f * t + f) for f in (196.0, 247.0, 294.0, 1310.0, 3000.0))[None].astype(
        np.float32
    )
    truth = truth + np.random.default_rng(5).standard_normal(truth.shape).astype(np.float32) * 0.01
    damaged = truth.copy()
    for start in range(5000, truth.shape[1] - 5000, 9001):
        damaged[:, start : start + 4] = 0
    assert error_db(truth, Declick().apply(damaged, RATE)) < error_db(truth, damaged) - 15


def test_a_channel_without_clicks_stays_as_it_is() -> None:
    damaged = song().copy()
    damaged[0, 5000::9000] += 0.5
    repaired = Declick().apply(damaged, RATE)
    assert not np.array_equal(repaired[0], damaged[0])
    assert np.array_equal(repaired[1], damaged[1])


def test_softer_clicks_in_a_softer_song() -> None:
    damaged, _ = clicked(song())
    loud = Declick().apply(damaged, RATE)
    soft = Declick().apply(damaged * np.float32(0.01), RATE)
    assert error_db(loud, soft * 100) < -90


def test_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged, _ = clicked(song())
    whole = Declick().apply(damaged, RATE)
    monkeypatch.setattr(processor_module, "BLOCK_FRAMES", 1 << 14)
    assert np.array_equal(Declick().apply(damaged, RATE), whole)


T = np.arange(2 * RATE) / RATE
NOISE = np.random.default_rng(0).standard_normal(2 * RATE)
CLEAN = {
    "music": song(),
    "noise": NOISE[None] * 0.1,
    "square wave": np.sign(np.sin(2 * np.pi * 220 * T))[None],
    "saw wave": ((55 * T) % 1)[None] * 2 - 1,
    "kicks that start at their peak": (np.cos(2 * np.pi * 50 * (T % 0.5)) * np.exp(-(T % 0.5) * 12))[None],
    "notes cut off": (np.sin(2 * np.pi * 440 * T) * (T % 0.5 < 0.25))[None],
    "8 bits": np.round(np.sin(2 * np.pi * 440 * T) * np.exp(-T) * 127)[None] / 128,
    "fade in 16 bits": np.round(NOISE * np.exp(-5 * T) * 3000)[None] / 32_768,
    "silence": np.zeros((2, RATE)),
    "one sample": np.ones((1, 1)),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_sound_is_not_touched(name: str) -> None:
    source = AudioBuffer.of(CLEAN[name], RATE)
    assert find_clicks(source) is None
    assert np.array_equal(Declick().apply(source.to_array(), RATE), source.to_array())


def test_the_report_counts_and_places() -> None:
    damaged = song().copy()
    damaged[:, [20_000, 70_000, 130_000]] += 0.8
    source = AudioBuffer.of(damaged, RATE)
    report = Declick().process(source, source.like())
    assert report["found"].startswith("6 clicks")
    assert [round(place["start_s"], 2) for place in report["places"]] == [0.45, 1.59, 2.95]


def test_prediction_error_of_an_autoregressive_signal_is_its_excitation() -> None:
    from scipy.signal import lfilter

    excitation = np.random.default_rng(1).standard_normal(20_000)
    x = lfilter([1.0], [1.0, -1.6, 0.8], excitation)
    error = prediction_error(x, 4, 1024)[2000:18_000]
    # The smaller of two estimates of it.
    assert np.all(error <= np.abs(excitation[2000:18_000]) + 0.35)
    assert 0.3 < np.sqrt(np.mean(error**2)) < 1


def test_a_sine_is_interpolated_exactly() -> None:
    x = np.sin(0.1 * np.arange(2000))
    bad = np.zeros(2000, bool)
    bad[1000:1020] = True
    filled, _ = interpolate(np.where(bad, 7.0, x), bad, 8)
    assert np.abs(filled - x).max() < 0.02

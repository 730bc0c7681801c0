"""Decomb: a decoder's periodic offset and gain go; music, tones and sequenced drums stay as they are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors import processor as processor_module
from engine.repair.comb_detector import find_comb
from engine.repair.decomb import Decomb

RATE = 44_100


@lru_cache
def song(rate: int = RATE, seconds: float = 6.0) -> Audio:
    """Chords and hiss that swell; the channels differ."""
    generator = np.random.default_rng(3)
    t = np.arange(int(rate * seconds)) / rate
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t)
    tones = [np.sin(2 * np.pi * f * t + f) for f in (97.0, 220.3, 441.7, 883.1, 2103.3)]
    noise = 0.03 * generator.standard_normal((2, t.size))
    result = (0.1 * swell * (np.stack([sum(tones), sum(tones[1:])]) + noise)).astype(np.float32)
    result.flags.writeable = False
    return result


def combed(audio: Audio, period: int) -> Audio:
    generator = np.random.default_rng(4)
    phase = np.arange(audio.shape[1]) % period
    gain = 1 + 0.03 * generator.standard_normal((2, period))[:, phase]
    offset = 0.0006 * generator.standard_normal((2, period))[:, phase]
    return (audio * gain + offset).astype(np.float32)


def error_db(truth: Audio, estimate: Audio) -> float:
    truth, error = truth.astype(np.float64), (estimate - truth).astype(np.float64)
    return 10 * float(np.log10((error**2).sum() / (truth**2).sum() + 1e-30))


@pytest.mark.parametrize(
    ("rate", "period"), [(44_100, 16), (48_000, 8), (44_100, 10), (96_000, 32), (16_000, 16)]
)
def test_a_comb_goes(rate: int, period: int) -> None:
    truth = song(rate)
    damaged = combed(truth, period)
    comb = find_comb(AudioBuffer.of(damaged, rate))
    assert comb is not None
    assert comb.period == period
    assert error_db(truth, Decomb().apply(damaged, rate)) < error_db(truth, damaged) - 8


def test_a_comb_that_was_resampled_loses_its_lines() -> None:
    import soxr

    truth = soxr.resample(song(32_000).T, 32_000, RATE).T
    damaged = soxr.resample((song(32_000) + combed(song(32_000) * 0, 8)).T, 32_000, RATE).T
    comb = find_comb(AudioBuffer.of(damaged, RATE))
    assert comb is not None
    assert comb.spacing_hz == 4000
    assert comb.period is None
    assert error_db(truth, Decomb().apply(damaged, RATE)) < error_db(truth, damaged) - 5


def test_a_softer_song_has_the_same_comb() -> None:
    damaged = combed(song(), 16)
    loud, soft = Decomb().apply(damaged, RATE), Decomb().apply(damaged * np.float32(0.1), RATE)
    assert error_db(loud, soft * 10) < -90


def test_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = combed(song(), 16)
    whole = Decomb().apply(damaged, RATE)
    monkeypatch.setattr(processor_module, "BLOCK_FRAMES", 1 << 15)
    assert error_db(whole, Decomb().apply(damaged, RATE)) < -110


T = np.arange(6 * RATE) / RATE
HIT = np.random.default_rng(5).standard_normal(4000) * np.exp(-np.arange(4000) / 800)
DRUMS = np.zeros(6 * RATE)
for place in np.random.default_rng(6).integers(0, 6 * RATE // 64 - 100, 40) * 64:
    DRUMS[place : place + 4000] += HIT
CLEAN = {
    "music": song(),
    "noise": np.random.default_rng(0).standard_normal((1, 6 * RATE)),
    "a tone on a line": np.sin(2 * np.pi * RATE / 16 * T)[None] + song()[:1],
    "drums on a grid of 64 frames": DRUMS[None],
    "square wave": np.sign(np.sin(2 * np.pi * 220 * T))[None],
    "silence": np.zeros((2, RATE)),
    "constant": np.full((2, 2 * RATE), 0.5),
    "one sample": np.ones((1, 1)),
}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_sound_is_not_touched(name: str) -> None:
    source = AudioBuffer.of(CLEAN[name], RATE)
    assert find_comb(source) is None
    assert np.array_equal(Decomb().apply(source.to_array(), RATE), source.to_array())


def test_the_report_names_the_lines() -> None:
    source = AudioBuffer.of(combed(song(), 16), RATE)
    report = Decomb().process(source, source.like())
    assert "2756 Hz apart" in report["found"]
    assert report["places"][0]["low_hz"] == pytest.approx(2756.2, abs=0.1)

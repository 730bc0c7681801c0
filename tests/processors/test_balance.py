"""Balance: takes a hump or a dip back to the slope around it, and leaves a smooth spectrum alone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from engine.audio.buffer import AudioBuffer
from engine.processors.balance import Balance
from engine.processors.equaliser import Equaliser
from engine.processors.filters import Band

RATE = 44_100


@lru_cache
def pink(seconds: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal((2, seconds * RATE)))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 1))
    audio = np.fft.irfft(spectrum)
    return (0.1 * audio / audio.std()).astype(np.float32)


def bent(gain_db: float, hz: float = 800.0) -> np.ndarray:
    band = Band(kind="bell", frequency_hz=hz, gain_db=gain_db, q=1.0)
    return Equaliser(bands=(band,)).apply(pink(), RATE)


def change_db(before: np.ndarray, after: np.ndarray, low: float, high: float) -> float:
    freqs = np.fft.rfftfreq(before.shape[1], 1 / RATE)
    inside = (freqs > low) & (freqs < high)
    power = [np.square(np.abs(np.fft.rfft(audio[0])))[inside].sum() for audio in (before, after)]
    return float(10 * np.log10(power[1] / power[0]))


@pytest.mark.parametrize("gain_db", [8.0, -8.0])
def test_what_sticks_out_is_taken_back(gain_db: float) -> None:
    dry = bent(gain_db)
    wet = Balance(strength=1.0, range_db=4.0).apply(dry, RATE)
    assert -np.sign(gain_db) * change_db(dry, wet, 700, 900) > 1.0
    assert abs(change_db(dry, wet, 8000, 12_000)) < 1.0


def test_a_smooth_spectrum_is_left_alone() -> None:
    assert Balance().analyse(AudioBuffer.of(pink(), RATE)) is None
    tilted = Equaliser(bands=(Band(kind="high_shelf", frequency_hz=4000, gain_db=-6, q=0.5),))
    assert Balance().analyse(AudioBuffer.of(tilted.apply(pink(), RATE), RATE)) is None


def test_a_missing_top_is_not_boosted() -> None:
    sections = butter(12, 6000, fs=RATE, output="sos")
    dry = sosfiltfilt(sections, pink(), axis=1).astype(np.float32)
    wet = Balance(strength=1.0, tolerance_db=0.0, range_db=6.0).apply(dry, RATE)
    assert change_db(dry, wet, 9000, 14_000) < 3.0


@pytest.mark.parametrize("gain_db", [12.0, -12.0])
def test_no_band_moves_further_than_the_range(gain_db: float) -> None:
    dry = bent(gain_db)
    source = AudioBuffer.of(dry, RATE)
    into = source.like()
    report = Balance(strength=1.0, range_db=3.0).process(source, into)
    gains = np.array(list(report["gain_db"].values()))
    assert -3.001 <= gains.min() <= gains.max() <= 1.501
    assert max(gains.max(), -gains.min()) > 1.0
    assert abs(change_db(dry, into.to_array(), 20, 16_000)) < 3.0


def test_nothing_moves() -> None:
    dry = bent(8.0)
    wet = Balance(strength=1.0).apply(dry, RATE)
    correlation = np.fft.irfft(np.fft.rfft(wet[0]) * np.conj(np.fft.rfft(dry[0])))
    assert np.argmax(correlation) == 0
    assert correlation[1] == pytest.approx(correlation[-1], rel=1e-3)


def test_nothing_to_do() -> None:
    assert Balance().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None
    assert Balance(strength=0).analyse(AudioBuffer.of(bent(9.0), RATE)) is None
    hum = 0.1 * np.sin(2 * np.pi * 100 * np.arange(2 * RATE) / RATE)[None]
    assert Balance().analyse(AudioBuffer.of(hum, RATE)) is None

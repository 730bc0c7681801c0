"""Exciter: harmonics above the crossover only, no aliases, as loud as asked for at any level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from engine.audio.buffer import AudioBuffer
from engine.processors.exciter import Exciter

RATE = 44_100


def tone(hz: float, level: float = 0.3, seconds: int = 3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(seconds * RATE) / RATE))[None].astype(np.float32)


def hiss(level: float = 0.01, seconds: int = 3) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal((1, seconds * RATE))).astype(np.float32)


def lines_db(audio: np.ndarray) -> np.ndarray:
    """Level of every 1 Hz line of the second in the middle, against full scale."""
    spectrum = np.abs(np.fft.rfft(audio[0, RATE : 2 * RATE].astype(np.float64) * np.blackman(RATE)))
    return 20 * np.log10(spectrum / (0.42 * RATE / 2) + 1e-12)


def power_above(audio: np.ndarray, hz: float) -> float:
    spectrum = np.square(np.abs(np.fft.rfft(audio[0].astype(np.float64))))
    return float(spectrum[np.fft.rfftfreq(audio.shape[1], 1 / RATE) > hz].sum())


@pytest.mark.parametrize(("even", "harmonic", "other"), [(1.0, 2, 3), (0.0, 3, 2)])
def test_a_tone_gets_the_harmonic_that_is_asked_for(even: float, harmonic: int, other: int) -> None:
    dry = tone(3000)
    added = lines_db(Exciter(crossover_hz=4000, target_db=0, even=even).apply(dry, RATE) - dry)
    assert added[3000 * harmonic] > -35
    assert added[3000 * other] < added[3000 * harmonic] - 40


def test_nothing_is_added_below_the_crossover() -> None:
    dry = tone(2500, 0.2) + tone(2900, 0.2) + hiss(1e-4)
    added = lines_db(Exciter(crossover_hz=5000, target_db=0).apply(dry, RATE) - dry)
    # Their difference tone at 400 Hz least of all.
    assert added[:2600].max() < added.max() - 45


def test_no_aliases() -> None:
    dry = tone(7000)
    added = lines_db(Exciter(crossover_hz=6000, target_db=0, even=0.0).apply(dry, RATE) - dry)
    # The third harmonic at 21 kHz stays; one of 9 kHz would fold back.
    high = tone(8900)
    folded = lines_db(Exciter(crossover_hz=6000, target_db=0, even=0.0).apply(high, RATE) - high)
    assert added[21_000] > added[:20_000].max() + 20
    assert folded[RATE - 3 * 8900] < -75


def dull(cutoff: float = 4000) -> np.ndarray:
    return sosfiltfilt(butter(4, cutoff, fs=RATE, output="sos"), hiss(0.05)).astype(np.float32)


@pytest.mark.parametrize("target_db", [-25.0, -15.0])
def test_what_is_missing_is_made_up(target_db: float) -> None:
    wet = Exciter(crossover_hz=5000, target_db=target_db).apply(dull(2500), RATE)
    driven = power_above(wet, 2000) - power_above(wet, 7500)
    assert 10 * np.log10(power_above(wet, 5000) / driven) == pytest.approx(target_db, abs=2.5)


def test_a_bright_sound_is_left_alone() -> None:
    assert Exciter().analyse(AudioBuffer.of(hiss(0.05), RATE)) is None


def test_sibilants_are_not_brightness() -> None:
    esses = hiss(0.1) * (np.arange(3 * RATE) % RATE < RATE // 10)
    found = Exciter().analyse(AudioBuffer.of(dull(3000) + esses.astype(np.float32), RATE))
    assert found is not None


def test_a_soft_phrase_gets_as_much_as_a_loud_one() -> None:
    step = np.repeat(np.array([1.0, 0.1, 1.0], np.float32), RATE)
    dry = dull() * step
    added = Exciter().apply(dry, RATE) - dry
    inner = [slice(k * RATE + 5000, (k + 1) * RATE - 5000) for k in (0, 1)]
    loud, soft = (np.std(added[:, part]) / np.std(dry[:, part]) for part in inner)
    assert 20 * np.log10(soft / loud) == pytest.approx(0, abs=0.3)


def test_the_sound_itself_is_not_touched() -> None:
    dry = tone(300) + tone(2500, 0.05)
    wet = Exciter(crossover_hz=4000, target_db=-6).apply(dry, RATE)
    assert abs(lines_db(wet)[300] - lines_db(dry)[300]) < 0.001


def test_nothing_to_do() -> None:
    assert Exciter().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None
    assert Exciter().analyse(AudioBuffer.of(tone(100), RATE)) is None
    assert Exciter(crossover_hz=5000).analyse(AudioBuffer.of(hiss(), 16_000)) is None

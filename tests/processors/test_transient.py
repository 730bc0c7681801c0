"""Transient: onsets and tails change by what was asked for, steady sound and place don't."""

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.transient import Transient

SR = 44100
PERIOD = SR // 2


def hits(count: int = 8) -> np.ndarray:
    """Tones that start at once and decay over 0.5 s, each 100 ms into its half second."""
    t = np.arange(PERIOD) / SR - 0.1
    hit = np.where(t >= 0, np.exp(-t / 0.12) * np.sin(2 * np.pi * 880 * t), 0)
    row = 0.3 * np.tile(hit, count) + 1e-6 * np.random.default_rng(0).standard_normal(count * PERIOD)
    return np.stack([row, 0.5 * row]).astype(np.float32)


def energy_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-30))


def part(audio: np.ndarray, begin_s: float, end_s: float) -> np.ndarray:
    return audio.reshape(2, -1, PERIOD)[:, 1:, round(begin_s * SR) : round(end_s * SR)]


def change_db(fx: Transient, begin_s: float, end_s: float) -> float:
    dry = hits()
    wet = fx.apply(dry, SR)
    return energy_db(part(wet, begin_s, end_s)) - energy_db(part(dry, begin_s, end_s))


@pytest.mark.parametrize("gain_db", [-5, 3, 6])
def test_attack_acts_on_the_onset_and_not_on_the_tail(gain_db):
    fx = Transient(attack_db=gain_db)
    assert change_db(fx, 0.1, 0.105) == pytest.approx(gain_db, abs=abs(gain_db) * 0.1)
    assert abs(change_db(fx, 0.3, 0.48)) < 0.1


@pytest.mark.parametrize("gain_db", [-4, 4])
def test_sustain_acts_on_the_tail_and_not_on_the_onset(gain_db):
    fx = Transient(attack_db=0, sustain_db=gain_db)
    tail = change_db(fx, 0.25, 0.45)
    assert np.sign(tail) == np.sign(gain_db)
    assert abs(tail) > 0.5 * abs(gain_db)
    assert abs(change_db(fx, 0.1, 0.11)) < 0.3


def test_gain_never_exceeds_6_db():
    dry = hits()
    fx = Transient(attack_db=6, sustain_db=6)
    found = fx.analyse(AudioBuffer.of(dry, SR))
    assert found.curve.highest_db <= 6.0001
    assert found.curve.gain.max() <= 10 ** (6.001 / 20)


def test_an_onset_is_not_smeared():
    dry = np.zeros((1, SR), np.float32)
    dry[0, SR // 2 :] = 0.3 * np.sin(2 * np.pi * 500 * np.arange(SR - SR // 2) / SR)
    wet = Transient(attack_db=6).apply(dry, SR)
    assert (wet[0, : SR // 2] == 0).all()


def test_steady_sound_keeps_its_level():
    dry = (0.1 * np.sin(2 * np.pi * 60 * np.arange(3 * SR) / SR))[None].astype(np.float32)
    wet = Transient(attack_db=6, sustain_db=6).apply(dry, SR)
    middle = slice(SR, 2 * SR)
    assert abs(energy_db(wet[:, middle]) - energy_db(dry[:, middle])) < 0.3


def test_a_quieter_stem_comes_out_quieter_and_otherwise_the_same():
    dry = hits()
    fx = Transient(attack_db=4, sustain_db=-3)
    loud, quiet = fx.apply(dry, SR), fx.apply(dry * np.float32(0.1), SR)
    assert energy_db(quiet * 10 - loud) - energy_db(loud) < -90


def test_the_stereo_image_stays():
    wet = Transient(attack_db=6, sustain_db=-6).apply(hits(), SR)
    np.testing.assert_allclose(wet[1], 0.5 * wet[0], rtol=1e-4, atol=1e-9)


def test_noise_in_pauses_is_not_an_onset():
    rng = np.random.default_rng(1)
    dry = np.concatenate(
        [0.2 * rng.standard_normal((1, SR)), 1e-5 * rng.standard_normal((1, 2 * SR))], axis=1
    )
    curve = Transient(attack_db=6).analyse(AudioBuffer.of(dry, SR)).curve
    np.testing.assert_allclose(curve.over(round(1.5 * SR), SR), 1, atol=1e-3)


def test_nothing_to_do():
    assert Transient(attack_db=0, sustain_db=0).analyse(AudioBuffer.of(hits(), SR)) is None
    assert Transient().analyse(AudioBuffer.of(np.zeros((2, SR)), SR)) is None


def test_the_report_tells_what_was_done():
    source = AudioBuffer.of(hits(), SR)
    report = Transient(attack_db=3).process(source, source.like())
    assert 2 < report["max_gain_db"] <= 3
    assert 0 < report["active_share"] < 0.5

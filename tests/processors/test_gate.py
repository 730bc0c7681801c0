"""Gate: the bleed between hits goes down by the range, the hits stay as they are."""

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.gate import Gate

SR = 44100
PERIOD = SR // 2


def hits(seconds: int = 6) -> np.ndarray:
    """Decaying noise bursts every half second, panned to 1 : 0.5."""
    t = np.arange(PERIOD) / SR
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal(PERIOD) * np.exp(-t / 0.02) for _ in range(2 * seconds)]
    drum = 0.3 * np.concatenate(rows)
    return np.stack([drum, 0.5 * drum]).astype(np.float32)


def bleed(seconds: int = 6) -> np.ndarray:
    return (1e-4 * np.random.default_rng(1).standard_normal((2, seconds * SR))).astype(np.float32)


def energy_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-30))


def between(audio: np.ndarray) -> np.ndarray:
    """The last 100 ms before every hit but 5 ms."""
    return audio.reshape(2, -1, PERIOD)[:, :, -SR // 10 : -SR // 100]


def onsets(audio: np.ndarray) -> np.ndarray:
    return audio.reshape(2, -1, PERIOD)[:, :, : SR // 20]


def test_bleed_is_lowered_by_the_range_and_no_further():
    dry = hits() + bleed()
    wet = Gate(range_db=12, release_ms=30).apply(dry, SR)
    drop = energy_db(between(dry)) - energy_db(between(wet))
    assert 11 < drop <= 12.01
    assert (wet[dry != 0] != 0).all()


def test_hits_are_untouched():
    dry = hits() + bleed()
    wet = Gate().apply(dry, SR)
    assert abs(energy_db(onsets(wet)) - energy_db(onsets(dry))) < 0.001
    # From the very first sample: the gate is open before it.
    first = slice(0, SR // 1000)
    np.testing.assert_array_equal(onsets(wet)[:, :, first], onsets(dry)[:, :, first])


def test_open_gate_is_bit_exact():
    dry = hits() + bleed()
    wet = Gate().apply(dry, SR)
    loud = slice(SR // 200, SR // 25)
    np.testing.assert_array_equal(onsets(wet)[:, :, loud], onsets(dry)[:, :, loud])


def test_a_quieter_stem_comes_out_quieter_and_otherwise_the_same():
    dry = hits() + bleed()
    loud, quiet = Gate().apply(dry, SR), Gate().apply(dry * np.float32(0.1), SR)
    assert energy_db(quiet * 10 - loud) - energy_db(loud) < -90


def test_long_pauses_do_not_move_the_threshold():
    dry = hits() + bleed()
    gate = Gate()
    alone = gate.analyse(AudioBuffer.of(dry, SR))
    longer = np.concatenate([dry, np.zeros((2, 30 * SR), np.float32)], axis=1)
    assert gate.analyse(AudioBuffer.of(longer, SR)).threshold_db == pytest.approx(alone.threshold_db, abs=0.1)


def test_the_stereo_image_stays():
    dry = hits()
    wet = Gate().apply(dry, SR)
    np.testing.assert_allclose(wet[1], 0.5 * wet[0], rtol=1e-5, atol=1e-12)


def test_steady_sound_and_silence_are_left_alone():
    steady = (0.1 * np.random.default_rng(2).standard_normal((1, 3 * SR))).astype(np.float32)
    assert Gate().analyse(AudioBuffer.of(steady, SR)) is None
    assert Gate().analyse(AudioBuffer.of(np.zeros((2, SR)), SR)) is None


def test_hysteresis_keeps_a_wavering_tail_open():
    t = np.arange(3 * SR) / SR
    level = np.where(t < 1, 1.0, 10 ** ((-24 + 2 * np.sin(2 * np.pi * 3 * t)) / 20))
    dry = (0.3 * level * np.sign(np.sin(2 * np.pi * 500 * t)))[None].astype(np.float32)
    assert Gate(hysteresis_db=6, hold_ms=5).analyse(AudioBuffer.of(dry, SR)) is None
    assert Gate(hysteresis_db=0, hold_ms=5).analyse(AudioBuffer.of(dry, SR)) is not None


def test_the_report_tells_what_was_done():
    dry = hits() + bleed()
    source = AudioBuffer.of(dry, SR)
    report = Gate().process(source, source.like())
    assert report["applied"]
    assert 0.3 < report["closed_share"] < 0.9
    assert report["floor_db"] < report["threshold_db"]

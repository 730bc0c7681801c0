"""Sub: raises a weak fundamental, follows the line, and leaves the rest where and as it is."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.sub import Sub

RATE = 44_100
NOTES_HZ = (41.2, 61.7, 55.0, 82.4)


def line(fundamental: float = 0.3, rate: int = RATE) -> np.ndarray:
    """One note per second with harmonics; `fundamental` is the first one's level against the second."""
    t = np.arange(rate) / rate
    shape = np.clip(np.minimum(t, 1 - t) / 0.02, 0, 1)
    parts = []
    for hz in NOTES_HZ:
        partials = [fundamental, 1.0, 0.6, 0.4, 0.25, 0.15]
        parts.append(shape * sum(a * np.sin(2 * np.pi * hz * k * t) for k, a in enumerate(partials, 1)))
    mono = 0.2 * np.concatenate(parts)
    return np.stack([mono, 0.5 * mono]).astype(np.float32)


def partial(audio: np.ndarray, note: int, number: int, rate: int = RATE) -> complex:
    """Amplitude of a partial in the middle of a note."""
    part = audio[0, note * rate + rate // 4 : note * rate + 3 * rate // 4].astype(np.float64)
    t = np.arange(len(part)) / rate
    window = np.hanning(len(part))
    tone = np.exp(-2j * np.pi * NOTES_HZ[note] * number * t)
    return complex(2 * np.sum(part * window * tone) / window.sum())


@pytest.mark.parametrize("rate", [8000, RATE, 192_000])
def test_the_fundamental_of_every_note_comes_up(rate: int) -> None:
    dry = line(rate=rate)
    wet = Sub(target_db=6, strength=1.0, range_db=4).apply(dry, rate)
    for note in range(len(NOTES_HZ)):
        gain = partial(wet, note, 1, rate) / partial(dry, note, 1, rate)
        assert 20 * np.log10(abs(gain)) == pytest.approx(4, abs=0.3)
        # In phase: it neither turns nor moves.
        assert abs(np.degrees(np.angle(gain))) < 1
        for number in (2, 3, 4):
            other = partial(wet, note, number, rate) / partial(dry, note, number, rate)
            assert 20 * np.log10(abs(other)) == pytest.approx(0, abs=0.4)


def test_the_line_is_tracked() -> None:
    found = Sub(strength=1.0).analyse(AudioBuffer.of(line(), RATE))
    assert found is not None
    per_second = RATE / (32 * 64)
    for note, hz in enumerate(NOTES_HZ):
        middle = round((note + 0.4) * per_second) + found.offset
        assert found.fundamental_hz[middle] == pytest.approx(hz, rel=0.06)


def test_a_strong_fundamental_stays() -> None:
    dry = line(fundamental=5.0)
    assert Sub(target_db=6).analyse(AudioBuffer.of(dry, RATE)) is None
    np.testing.assert_array_equal(Sub(target_db=6).apply(dry, RATE), dry)


def test_what_is_far_above_is_not_touched() -> None:
    t = np.arange(4 * RATE) / RATE
    high = (0.1 * np.sin(2 * np.pi * 1500 * t)).astype(np.float32)
    wet = Sub(strength=1.0).apply(line() + high, RATE)
    window = np.hanning(RATE)
    spectra = [np.abs(np.fft.rfft(audio[0, RATE : 2 * RATE] * window)) for audio in (wet, line() + high)]
    np.testing.assert_allclose(spectra[0][800:3000], spectra[1][800:3000], atol=0.03)


def test_rumble_below_the_line_stays_down() -> None:
    t = np.arange(4 * RATE) / RATE
    rumble = (0.02 * np.sin(2 * np.pi * 17 * t)).astype(np.float32)
    dry = line() + rumble
    wet = Sub(strength=1.0, range_db=6).apply(dry, RATE)
    window = np.hanning(4 * RATE)
    at = 17 * 4
    level = [abs(np.fft.rfft(audio[0] * window)[at]) for audio in (dry, wet)]
    assert 20 * np.log10(level[1] / level[0]) < 1.0


def test_nothing_to_do() -> None:
    assert Sub().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 2 * RATE))
    found = Sub().analyse(AudioBuffer.of(noise, RATE))
    assert found is None or found.gain_db.mean() < 0.5


def test_the_report_tells_what_was_done() -> None:
    source = AudioBuffer.of(line(), RATE)
    report = Sub(range_db=3, strength=1.0).process(source, source.like())
    low, high = report["fundamental_hz"]
    assert 38 < low < high < 90
    assert report["max_gain_db"] == pytest.approx(3, abs=0.01)

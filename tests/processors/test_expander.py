"""Expander: widens dynamics by its ratio, downward or upward, and leaves the rest alone."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.expander import Expander
from engine.processors.level import Envelope

RATE = 44_100


def steps(levels_db: list[float]) -> np.ndarray:
    """A sine whose level steps every second, panned to 1 : 0.25."""
    gain = np.repeat(10 ** (np.array(levels_db) / 20), RATE)
    tone = 0.5 * gain * np.sin(2 * np.pi * 441 * np.arange(len(gain)) / RATE)
    return np.stack([tone, 0.25 * tone]).astype(np.float32)


def settled_db(audio: np.ndarray) -> np.ndarray:
    """RMS of every second from its middle until shortly before the next step is heard coming, in dB."""
    halves = audio.reshape(2, -1, RATE)[:, :, RATE // 2 : RATE - RATE // 20]
    return 10 * np.log10(np.mean(np.square(halves, dtype=np.float64), axis=(0, 2)))


def test_down_lowers_what_is_below_by_the_ratio() -> None:
    dry = steps([0, -30, 0, -20])
    wet = Expander(threshold_db=-10, ratio=1.5, range_db=30, release_ms=30).apply(dry, RATE)
    change = settled_db(wet) - settled_db(dry)
    threshold = Envelope.of(AudioBuffer.of(dry, RATE)).gated_db - 10
    expected = -0.5 * np.maximum(threshold - settled_db(dry), 0)
    assert expected[1] < -9
    # Half a dB for each dB below the threshold.
    np.testing.assert_allclose(change, expected, atol=0.1)


def test_down_goes_no_further_than_its_range() -> None:
    dry = steps([0, -50, 0, -50])
    wet = Expander(threshold_db=-10, ratio=4, range_db=6, release_ms=30).apply(dry, RATE)
    np.testing.assert_allclose(settled_db(wet) - settled_db(dry), [0, -6, 0, -6], atol=0.05)


def test_down_opens_faster_than_it_closes() -> None:
    dry = steps([-40, 0, -40])
    wet = Expander(threshold_db=-10, ratio=4, range_db=12, attack_ms=2, release_ms=300).apply(dry, RATE)
    gain = np.abs(wet[0]).reshape(-1, 100).max(axis=1) / np.abs(dry[0]).reshape(-1, 100).max(axis=1)
    opened, closed = RATE // 100 + 8, 2 * RATE // 100 + 8
    assert gain[opened] > 0.95
    assert gain[closed] > 0.9


def test_up_raises_what_is_above_and_keeps_the_level() -> None:
    dry = steps([-6, 0] * 4)
    wet = Expander(
        direction="up", threshold_db=-20, ratio=1.5, knee_db=0, range_db=30, attack_ms=5, release_ms=30
    ).apply(dry, RATE)
    change = settled_db(wet) - settled_db(dry)
    assert change[3] - change[2] == pytest.approx(3, abs=0.1)
    before, after = (Envelope.of(AudioBuffer.of(audio, RATE)).gated_db for audio in (dry, wet))
    assert after == pytest.approx(before, abs=0.05)


def test_the_stereo_image_stays() -> None:
    for direction in ("down", "up"):
        wet = Expander(direction=direction, threshold_db=-5).apply(steps([0, -12, 0]), RATE)
        np.testing.assert_allclose(wet[1], 0.25 * wet[0], rtol=1e-4, atol=1e-9)


def test_nothing_to_do() -> None:
    steady = AudioBuffer.of(steps([0, 0]), RATE)
    assert Expander(threshold_db=-30).analyse(steady) is None
    assert Expander(direction="up", threshold_db=20).analyse(steady) is None
    assert Expander(ratio=1).analyse(steady) is None
    assert Expander().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None


def test_the_report_tells_what_was_done() -> None:
    source = AudioBuffer.of(steps([0, -40, 0]), RATE)
    report = Expander(range_db=6).process(source, source.like())
    assert report["min_gain_db"] == pytest.approx(-6, abs=0.01)
    assert report["max_gain_db"] == pytest.approx(0, abs=0.01)
    assert 0.2 < report["active_share"] < 0.5

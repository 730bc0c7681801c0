"""Ride: phrases come closer to the median, words keep their shape, and pauses stay."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.ride import Ride

RATE = 44_100
#: Levels of the phrases, and where each begins; 2 s long, a pause of 2 s after each.
PHRASES_DB = (0.0, -8.0, 3.0, -4.0, 0.0)


def song(pause_level: float = 1e-4) -> np.ndarray:
    t = np.arange(2 * RATE) / RATE
    word = np.clip(1.5 * np.sin(2 * np.pi * 3 * t) ** 2, 0.05, 1) * np.sin(2 * np.pi * 220 * t)
    rng = np.random.default_rng(0)
    parts = []
    for level in PHRASES_DB:
        parts += [0.1 * 10 ** (level / 20) * word, pause_level * rng.standard_normal(2 * RATE)]
    mono = np.concatenate(parts)
    return np.stack([mono, 0.5 * mono]).astype(np.float32)


def phrase_db(audio: np.ndarray) -> np.ndarray:
    """Level of the middle of every phrase."""
    middles = audio.reshape(2, -1, 4 * RATE)[:, :, RATE // 2 : 3 * RATE // 2]
    return 10 * np.log10(np.mean(np.square(middles, dtype=np.float64), axis=(0, 2)))


def test_phrases_come_closer_to_the_median() -> None:
    dry = song()
    wet = Ride(strength=0.5, range_db=6).apply(dry, RATE)
    off = phrase_db(dry) - np.median(phrase_db(dry))
    np.testing.assert_allclose(phrase_db(wet) - phrase_db(dry), -0.5 * off, atol=0.7)
    assert np.std(phrase_db(wet)) < 0.6 * np.std(phrase_db(dry))


def test_pauses_are_untouched_to_the_bit() -> None:
    dry = song()
    wet = Ride(strength=1.0, range_db=12).apply(dry, RATE)
    # From one window after the end of a phrase to one before the next.
    for index in range(len(PHRASES_DB)):
        pause = slice((4 * index + 2) * RATE + 35_000, (4 * index + 4) * RATE - 35_000)
        np.testing.assert_array_equal(wet[:, pause], dry[:, pause])


def test_it_never_moves_further_than_its_range() -> None:
    found = Ride(strength=1.0, range_db=2.0).analyse(AudioBuffer.of(song(), RATE))
    assert found is not None
    assert found.curve.highest_db == pytest.approx(2.0, abs=0.01)
    assert found.curve.lowest_db >= -2.001


def test_a_word_keeps_its_shape() -> None:
    found = Ride().analyse(AudioBuffer.of(song(), RATE))
    assert found is not None
    per_hop = np.abs(np.diff(20 * np.log10(found.curve.gain)))
    # A fader: less than 25 dB per second.
    assert per_hop.max() * RATE / found.curve.hop_length < 25


def test_an_even_voice_is_left_alone() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 220 * np.arange(4 * RATE) / RATE)[None]
    found = Ride().analyse(AudioBuffer.of(tone, RATE))
    assert found is None or max(found.curve.highest_db, -found.curve.lowest_db) < 1.5
    assert Ride().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None


def test_the_report_tells_what_was_done() -> None:
    source = AudioBuffer.of(song(), RATE)
    report = Ride(range_db=6).process(source, source.like())
    assert report["level_spread_after_db"] < report["level_spread_before_db"]

"""Consistency: notes come closer to each other, and none changes its shape."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.consistency import Consistency

RATE = 44_100
NOTES_DB = (0.0, -6.0, 2.0, -3.0, 0.0, -5.0, 3.0, 0.0)
BEAT = round(0.4 * RATE)


def line(levels_db: tuple[float, ...] = NOTES_DB) -> np.ndarray:
    """Plucked notes, one per beat."""
    t = np.arange(BEAT) / RATE
    parts = []
    for index, level in enumerate(levels_db):
        hz = 55 * 2 ** ((index * 5 % 12) / 12)
        shape = (1 - np.exp(-t / 0.004)) * np.exp(-6 * t) * np.clip((0.38 - t) / 0.02, 0, 1)
        tone = np.sin(2 * np.pi * hz * t) + 0.4 * np.sin(2 * np.pi * 2 * hz * t)
        parts.append(0.2 * 10 ** (level / 20) * shape * tone)
    mono = np.concatenate(parts)
    return np.stack([mono, mono]).astype(np.float32)


def note_db(audio: np.ndarray) -> np.ndarray:
    notes = audio.reshape(2, -1, BEAT)
    return 10 * np.log10(np.mean(np.square(notes, dtype=np.float64), axis=(0, 2)))


def test_notes_come_closer_by_the_strength() -> None:
    dry = line()
    wet = Consistency(strength=0.5, range_db=12).apply(dry, RATE)
    assert np.std(note_db(wet)) == pytest.approx(0.5 * np.std(note_db(dry)), rel=0.1)


def test_every_note_is_found() -> None:
    found = Consistency().analyse(AudioBuffer.of(line(), RATE))
    assert found is not None
    assert found.notes == len(NOTES_DB)


def test_a_note_keeps_its_shape() -> None:
    dry = line()
    wet = Consistency(strength=1.0, range_db=12).apply(dry, RATE)
    for index in range(len(NOTES_DB)):
        # From 2 ms after the onset to where the next note's gain begins to glide.
        note = slice(index * BEAT + 88, (index + 1) * BEAT - 1500)
        ratio = np.sum(wet[0, note] * dry[0, note]) / np.sum(dry[0, note] ** 2)
        error = np.sum((wet[0, note] - ratio * dry[0, note]) ** 2) / np.sum(wet[0, note] ** 2)
        assert error < 1e-4


def test_ghost_notes_stay_soft() -> None:
    dry = line((0.0, -30.0, 0.0, -30.0, 0.0, 0.0, 0.0, 0.0))
    wet = Consistency(strength=1.0, range_db=12).apply(dry, RATE)
    assert np.all(note_db(wet)[[1, 3]] - note_db(dry)[[1, 3]] < 0.5)


def test_no_note_is_moved_further_than_the_range() -> None:
    found = Consistency(strength=1.0, range_db=2.0).analyse(AudioBuffer.of(line(), RATE))
    assert found is not None
    assert found.curve.highest_db <= 2.001
    assert found.curve.lowest_db >= -2.001


def test_nothing_to_do() -> None:
    assert Consistency().analyse(AudioBuffer.of(line((0.0,) * 6)[:, :BEAT], RATE)) is None
    assert Consistency().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None
    hum = 0.1 * np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE)[None]
    assert Consistency().analyse(AudioBuffer.of(hum, RATE)) is None


def test_the_report_tells_what_was_done() -> None:
    source = AudioBuffer.of(line(), RATE)
    report = Consistency().process(source, source.like())
    assert report["notes"] == len(NOTES_DB)
    assert report["note_spread_after_db"] < report["note_spread_before_db"]

"""Consistency: makes the notes of a bass line equally loud, each as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.gain_curve import GainCurve, from_db, hann, hops
from engine.processors.level import TINY, Curve, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

#: Hops of an envelope per value of the gain: about 3 ms.
_HOPS = 4
#: The level is that of a window this long, which holds one period of a low E.
_WINDOW_MS = 25.0
#: A note begins where the level has risen by this much within `_RISE_MS`, `_APART_MS` after the one before at
#: the earliest.
_ONSET_DB = 4.0
_RISE_MS = 40.0
_APART_MS = 80.0
#: How loud a note is: its mean power over this long.
_HEARD_MS = 250.0
#: Notes this far below the median are meant to be soft; those at half of it still get all of their gain.
_GHOST_DB = 16.0
#: The gain moves within this time around an onset, before the note is there.
_GLIDE_MS = 12.0

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    notes: int
    spread_db: tuple[float, float]


class Consistency(Processor):
    """Notes are found by their onsets; each gets one gain towards the median level of all notes.

    Within a note nothing moves, so its attack and its decay stay as played: what a compressor with a long
    release aims at, from a whole line known in advance. Soft ghost notes stay soft.
    """

    effect: ClassVar[str] = "consistency"
    linear: ClassVar[bool] = False

    strength: float = Field(0.6, ge=0, le=1, description="share of the distance to the median that is taken")
    range_db: float = Field(4.0, ge=0, le=12, description="no note is moved further than this")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence, and for a line that is even or has no notes."""
        hop = _HOPS * hop_length(source.sample_rate)
        power = np.zeros(-(-source.frames // hop), np.float32)
        for start, block in source.blocks():
            blocks_power = hop_power(block, hop)
            power[start // hop : start // hop + len(blocks_power)] = blocks_power
        rate = source.sample_rate / hop
        gated = gated_level_db(power, rate)
        if gated is None:
            return None
        onsets = _onsets(power, gated, rate)
        if len(onsets) < 2:
            return None
        levels = _note_levels(power, onsets, rate)
        median = float(np.median(levels))
        off = median - levels
        meant = (2 - off / (_GHOST_DB / 2)).clip(0, 1)
        gains = (self.strength * off * meant).clip(-self.range_db, self.range_db)
        steps = np.zeros(len(power), np.float32)
        early = max(1, round(hops(_GLIDE_MS, rate)))
        for first, last, gain_db in zip(onsets, [*onsets[1:], len(power)], gains, strict=True):
            steps[max(first - early, 0) : last] = gain_db
        curve = GainCurve(from_db(hann(steps, early)), hop)
        if not curve.is_audible:
            return None
        return Found(curve, len(onsets), (float(levels.std()), float((levels + gains).std())))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """How many notes there are, how far the gain goes, and how much their levels differ."""
        return {
            "notes": found.notes,
            "min_gain_db": round(found.curve.lowest_db, 2),
            "max_gain_db": round(found.curve.highest_db, 2),
            "note_spread_before_db": round(found.spread_db[0], 2),
            "note_spread_after_db": round(found.spread_db[1], 2),
        }


def _onsets(power: Curve, gated_db: float, hops_per_second: float) -> Positions:
    """Hops at which a note begins."""
    from scipy.ndimage import minimum_filter1d
    from scipy.signal import find_peaks

    window = max(1, round(hops(_WINDOW_MS, hops_per_second)))
    rise = max(1, round(hops(_RISE_MS, hops_per_second)))
    # A recording may begin within a note.
    before_all = window + rise
    power = np.concatenate((np.zeros(before_all, np.float32), power))
    level = 10 * np.log10(np.maximum(hann(power, window), np.float32(TINY)))
    level = np.maximum(level, np.float32(gated_db - 40.0))
    # How far the next moments rise above the lowest level of the last ones.
    before = minimum_filter1d(level, rise, origin=(rise - 1) // 2, mode="nearest")
    ahead = np.concatenate((level[rise // 2 :], np.full(min(rise // 2, len(level)), level[-1], np.float32)))
    risen = np.where(ahead[: len(level)] > gated_db - 20.0, ahead[: len(level)] - before, 0)
    apart = max(1, round(hops(_APART_MS, hops_per_second)))
    peaks, _ = find_peaks(risen, height=_ONSET_DB, distance=apart)
    return np.asarray(np.unique(np.maximum(peaks - before_all, 0)), np.intp)


def _note_levels(power: Curve, onsets: Positions, hops_per_second: float) -> npt.NDArray[np.float64]:
    """Level of each note in dB."""
    total = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    heard = max(1, round(hops(_HEARD_MS, hops_per_second)))
    ends = np.minimum(np.minimum(np.append(onsets[1:], len(power)), onsets + heard), len(power))
    mean = (total[ends] - total[onsets]) / (ends - onsets)
    return np.asarray(10 * np.log10(np.maximum(mean, TINY)), np.float64)

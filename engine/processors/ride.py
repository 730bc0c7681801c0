"""Ride: moves a stem's fader slowly, as a mix engineer does for a voice, and leaves pauses alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.gain_curve import GainCurve, from_db, hann, hops
from engine.processors.level import TINY, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

#: A fader's position per about 12 ms: many hops of an envelope.
_HOPS = 16
#: This close to what sounds is no pause yet.
_NEAR_MS = 60.0


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    target_db: float
    spread_db: tuple[float, float]


class Ride(Processor):
    """Level riding: slow gain towards the stem's own median short-term level, linked over the channels.

    The level is that of a window around the present, so the fader is there when the phrase begins. What is
    more than `floor_db` below the stem's level is a pause: the gain goes back to 0 dB there, so that neither
    breath nor bleed comes up. Unlike a compressor's, the gain is the same for a word's onset and its end.
    """

    effect: ClassVar[str] = "ride"
    linear: ClassVar[bool] = False

    strength: float = Field(0.5, ge=0, le=1, description="share of the distance to the median that is taken")
    range_db: float = Field(3.0, ge=0, le=12, description="never moves further than this, up or down")
    window_ms: float = Field(500.0, ge=100, le=5000, description="over this long the level is measured")
    floor_db: float = Field(
        18.0, ge=6, le=40, description="this far below the stem's gated RMS level is a pause"
    )

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence, and for a stem that is even already."""
        from scipy.ndimage import maximum_filter1d

        hop = _HOPS * hop_length(source.sample_rate)
        power = np.zeros(-(-source.frames // hop), np.float32)
        for start, block in source.blocks():
            blocks_power = hop_power(block, hop)
            power[start // hop : start // hop + len(blocks_power)] = blocks_power
        rate = source.sample_rate / hop
        gated = gated_level_db(power, rate)
        if gated is None:
            return None
        radius = max(1, round(hops(self.window_ms, rate)))
        sounds = (power > 10 ** ((gated - self.floor_db) / 10)).astype(np.float32)
        # Only what sounds within the window counts, or a phrase would seem soft where it begins.
        level = 10 * np.log10(np.maximum(hann(power * sounds, radius), np.float32(TINY)))
        level -= 10 * np.log10(np.maximum(hann(sounds, radius), np.float32(1e-6)))
        target_db = float(np.median(level[sounds > 0]))
        near = maximum_filter1d(sounds, 2 * max(1, round(hops(_NEAR_MS, rate))) + 1, mode="constant")
        wanted = (np.float32(self.strength) * (target_db - level)).clip(-self.range_db, self.range_db) * near
        # Exactly 0 dB where a pause is longer than the window.
        curve = GainCurve(from_db(hann(wanted.astype(np.float32), max(1, radius // 2))), hop)
        if not curve.is_audible:
            return None
        after = level + 20 * np.log10(curve.gain)
        spreads = (float(level[sounds > 0].std()), float(after[sounds > 0].std()))
        return Found(curve, target_db, spreads)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """The median level, how far the fader goes, and the standard deviation of the level."""
        return {
            "target_db": round(found.target_db, 2),
            "min_gain_db": round(found.curve.lowest_db, 2),
            "max_gain_db": round(found.curve.highest_db, 2),
            "level_spread_before_db": round(found.spread_db[0], 2),
            "level_spread_after_db": round(found.spread_db[1], 2),
        }

"""Expander: makes a stem's dynamics wider, downward or upward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.dynamics import above_knee, ballistics, level_db, reach
from engine.processors.gain_curve import GainCurve, from_db, piecewise
from engine.processors.level import Curve, Envelope
from engine.processors.processor import Processor


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    threshold_db: float
    makeup_db: float


class Expander(Processor):
    """Expander, linked over the channels: quiet passages get quieter, or loud ones louder.

    "down" lowers what is below the threshold: a gate without its edges, for bleed and room. "up" raises what
    is above it: some life for what was compressed flat, as taste and not as a repair, since what a compressor
    did can't be undone from its result. The make-up gain of "up" is constant and brings the gated RMS level
    back to where it was; "down" leaves what is above the threshold as it is.
    """

    effect: ClassVar[str] = "expander"
    linear: ClassVar[bool] = False

    direction: Literal["down", "up"] = "down"
    threshold_db: float = Field(-15.0, ge=-80, le=30, description="relative to the stem's gated RMS level")
    ratio: float = Field(1.5, ge=1, le=10, description="dB of output per dB of input beyond the threshold")
    knee_db: float = Field(6.0, ge=0, le=24, description="width of the bend around the threshold")
    range_db: float = Field(6.0, ge=0, le=30, description="never changes the level by more than this")
    attack_ms: float = Field(5.0, ge=0.5, le=200, description="time constant of getting louder")
    release_ms: float = Field(150.0, ge=5, le=5000, description="time constant of getting quieter")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence and where nothing lies beyond the threshold."""
        envelope = Envelope.of(source)
        rate = envelope.hops_per_second
        level = envelope.gated_db
        if level is None:
            return None
        threshold_db = level + self.threshold_db
        margin = reach(self.attack_ms, self.release_ms, rate)
        gain = piecewise(lambda power: self._gain(power, threshold_db, rate), [envelope.power], margin)
        curve = GainCurve(gain, envelope.hop_length)
        if not curve.is_audible:
            return None
        makeup_db = 0.0
        if self.direction == "up":
            envelope.apply(gain)
            after = envelope.gated_db
            makeup_db = 0.0 if after is None else level - after
        return Found(curve, threshold_db, makeup_db)

    def _gain(self, power: Curve, threshold_db: float, hops_per_second: float) -> Curve:
        """Linear gain without make-up."""
        over_db = level_db(power, hops_per_second) - np.float32(threshold_db)
        slope, most = np.float32(self.ratio - 1), np.float32(self.range_db)
        if self.direction == "up":
            raised = np.minimum(slope * above_knee(over_db, self.knee_db), most)
            return from_db(ballistics(raised, self.attack_ms, self.release_ms, hops_per_second))
        lowered = np.minimum(slope * above_knee(-over_db, self.knee_db), most)
        # What is held and fades is the distance from the lowest gain: it opens fast and closes slowly.
        opened = ballistics(most - lowered, self.attack_ms, self.release_ms, hops_per_second)
        return from_db(opened - most)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain and the make-up."""
        makeup = np.float32(10 ** (found.makeup_db / 20))
        return np.asarray(found.curve.apply(block, start) * makeup, np.float32)

    def describe(self, found: Found) -> dict[str, Any]:
        """Threshold, make-up, and how far the gain goes for how long."""
        return {
            "threshold_db": round(found.threshold_db, 2),
            "makeup_db": round(found.makeup_db, 2),
            "min_gain_db": round(found.curve.lowest_db, 2),
            "max_gain_db": round(found.curve.highest_db, 2),
            "active_share": found.curve.active_share,
        }

"""Compressor: evens out the level of a stem over tens of milliseconds and keeps it as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.dynamics import above_knee, ballistics, level_db, reach
from engine.processors.gain_curve import GainCurve, from_db, piecewise
from engine.processors.level import Curve, Envelope
from engine.processors.processor import Processor


@dataclass(frozen=True)
class Found:
    """The gain, the make-up, and what the report tells."""

    curve: GainCurve
    threshold_db: float
    makeup_db: float
    crest_db: tuple[float, float]


class Compressor(Processor):
    """Feed-forward compressor, linked over the channels.

    Detection, knee and ballistics are those of the module `dynamics`. The make-up gain is constant and brings
    the gated RMS level back to where it was.
    """

    effect: ClassVar[str] = "compressor"
    linear: ClassVar[bool] = False

    threshold_db: float = Field(0.0, ge=-40, le=30, description="relative to the stem's gated RMS level")
    ratio: float = Field(2.0, ge=1, le=20, description="dB of input per dB of output above the threshold")
    knee_db: float = Field(6.0, ge=0, le=24, description="width of the bend around the threshold")
    attack_ms: float = Field(10.0, ge=0.5, le=200, description="time constant of turning down")
    release_ms: float = Field(150.0, ge=5, le=5000, description="time constant of coming back")
    max_reduction_db: float = Field(9.0, ge=0, le=40, description="never turns down further than this")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence and where nothing rises above the threshold."""
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
        crest_before = envelope.peak_db - level
        envelope.apply(gain)
        level_after = envelope.gated_db
        makeup_db = 0.0 if level_after is None else level - level_after
        return Found(
            curve=curve,
            threshold_db=threshold_db,
            makeup_db=makeup_db,
            crest_db=(crest_before, envelope.peak_db + makeup_db - level),
        )

    def _gain(self, power: Curve, threshold_db: float, hops_per_second: float) -> Curve:
        """Linear gain without make-up: level, gain computer, ballistics."""
        over_db = level_db(power, hops_per_second) - np.float32(threshold_db)
        reduction = self.static_reduction_db(over_db)
        return from_db(-ballistics(reduction, self.attack_ms, self.release_ms, hops_per_second))

    def static_reduction_db(self, over_db: Curve) -> Curve:
        """Gain reduction at a steady level `over_db` above the threshold."""
        reduction = np.float32(1 - 1 / self.ratio) * above_knee(over_db, self.knee_db)
        return np.asarray(np.minimum(reduction, np.float32(self.max_reduction_db)), np.float32)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain and the make-up."""
        makeup = np.float32(10 ** (found.makeup_db / 20))
        return np.asarray(found.curve.apply(block, start) * makeup, np.float32)

    def describe(self, found: Found) -> dict[str, Any]:
        """Threshold, make-up, how much is turned down for how long, and peak over RMS before and after."""
        return {
            "threshold_db": round(found.threshold_db, 2),
            "makeup_db": round(found.makeup_db, 2),
            "max_reduction_db": round(-found.curve.lowest_db, 2),
            "active_share": found.curve.active_share,
            "crest_before_db": round(found.crest_db[0], 2),
            "crest_after_db": round(found.crest_db[1], 2),
        }

"""Compressor: evens out the level of a stem over tens of milliseconds and keeps it as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.gain_curve import INAUDIBLE_DB, GainCurve, active_share, decay, hops, one_pole
from engine.processors.level import TINY, Curve, Envelope
from engine.processors.processor import Processor

#: Length of the window in which the level is measured; long enough for one period of a bass at 50 Hz.
_WINDOW_MS = 20.0


@dataclass(frozen=True)
class Found:
    """The gain with make-up, and what the report tells."""

    curve: GainCurve
    threshold_db: float
    makeup_db: float
    max_reduction_db: float
    active_share: float
    crest_db: tuple[float, float]


class Compressor(Processor):
    """Feed-forward compressor, linked over the channels.

    Detection, gain computer with a quadratic knee and decoupled ballistics in the log domain follow
    Giannoulis, Massberg, Reiss, "Digital Dynamic Range Compressor Design: A Tutorial and Analysis", J. AES
    60(6), 2012. The level is an RMS over a window centred on the present, so the detector adds no delay of
    its own to the attack. The make-up gain is constant and brings the gated RMS level back to where it was.
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
        from scipy.ndimage import uniform_filter1d

        envelope = Envelope.of(source)
        rate = envelope.hops_per_second
        level = envelope.gated_db
        if level is None:
            return None
        window = round(hops(_WINDOW_MS, rate)) | 1
        power = np.maximum(uniform_filter1d(envelope.power, window, mode="constant"), np.float32(TINY))
        wanted = self.static_reduction_db(10 * np.log10(power) - np.float32(level + self.threshold_db))
        if float(wanted.max()) < INAUDIBLE_DB:
            return None
        reduction = one_pole(decay(wanted, hops(self.release_ms, rate)), hops(self.attack_ms, rate))
        turned_down = GainCurve.from_db(-reduction, envelope.hop_length).gain
        after = replace(envelope, peak=envelope.peak * turned_down, power=envelope.power * turned_down**2)
        level_after = after.gated_db
        makeup_db = 0.0 if level_after is None else level - level_after
        return Found(
            curve=GainCurve(turned_down * np.float32(10 ** (makeup_db / 20)), envelope.hop_length),
            threshold_db=level + self.threshold_db,
            makeup_db=makeup_db,
            max_reduction_db=float(reduction.max()),
            active_share=active_share(reduction),
            crest_db=(envelope.peak_db - level, after.peak_db + makeup_db - level),
        )

    def static_reduction_db(self, over_db: Curve) -> Curve:
        """Gain reduction at a steady level `over_db` above the threshold (equation 4 of the paper)."""
        slope = np.float32(1 - 1 / self.ratio)
        half = np.float32(max(self.knee_db, 1e-3) / 2)
        bend = (over_db + half).clip(0, 2 * half)
        reduction = slope * (bend**2 / (4 * half) + np.maximum(over_db - half, 0))
        return np.asarray(np.minimum(reduction, np.float32(self.max_reduction_db)), np.float32)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """Threshold, make-up, how much is turned down for how long, and peak over RMS before and after."""
        return {
            "threshold_db": round(found.threshold_db, 2),
            "makeup_db": round(found.makeup_db, 2),
            "max_reduction_db": round(found.max_reduction_db, 2),
            "active_share": found.active_share,
            "crest_before_db": round(found.crest_db[0], 2),
            "crest_after_db": round(found.crest_db[1], 2),
        }

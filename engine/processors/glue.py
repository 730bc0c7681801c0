"""Glue: a gentle compressor for a whole mix that is told how much to do and finds its threshold itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.crossover import HIGHEST, split_blocks
from engine.processors.dynamics import above_knee, ballistics, level_db, reach
from engine.processors.gain_curve import GainCurve, from_db, piecewise
from engine.processors.level import QUIET_DB, Curve, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

#: Hops of an envelope per value of the gain: about 3 ms, as slow as this one moves.
_HOPS = 4
_KNEE_DB = 8.0
#: Two releases at once, half of the gain each: short peaks let go quickly, dense passages hold on.
_FAST_MS, _SLOW_MS = 120.0, 800.0
#: Levels are counted in steps this wide.
_STEP_DB = 0.1


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    threshold_db: float
    makeup_db: float


class Glue(Processor):
    """Bus compressor, linked over the channels: `reduction_db` is what it takes on average where music plays.

    The threshold follows from that and from the mix's own levels. What is below `detector_hz` is not listened
    to, so a kick does not duck the rest. Slow attack, and a release of two speeds. The make-up gain is
    constant and brings the gated RMS level back to where it was.
    """

    effect: ClassVar[str] = "glue"
    linear: ClassVar[bool] = False

    reduction_db: float = Field(1.0, ge=0, le=6, description="mean gain reduction where the music plays")
    ratio: float = Field(1.7, ge=1, le=10, description="dB of input per dB of output above the threshold")
    attack_ms: float = Field(30.0, ge=1, le=200, description="time constant of turning down")
    detector_hz: float = Field(100.0, ge=20, le=500, description="below it nothing is listened to")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence and where no gain results."""
        hop = _HOPS * hop_length(source.sample_rate)
        rate = source.sample_rate / hop
        heard, whole = (np.zeros(-(-source.frames // hop), np.float32) for _ in range(2))
        edge = min(self.detector_hz, 0.5 * HIGHEST * source.sample_rate)
        for start, (low, high) in split_blocks(source, (edge,), BLOCK_FRAMES):
            at = slice(start // hop, -(-(start + low.shape[1]) // hop))
            heard[at], whole[at] = hop_power(high, hop), hop_power(low + high, hop)
        level, whole_db = gated_level_db(heard, rate), gated_level_db(whole, rate)
        if level is None or whole_db is None or self.reduction_db == 0 or self.ratio == 1:
            return None
        threshold_db = self._threshold(heard, level, rate)
        margin = reach(self.attack_ms, _SLOW_MS, rate)
        gain = piecewise(lambda power: self._gain(power, threshold_db, rate), [heard], margin)
        if not GainCurve(gain, hop).is_audible:
            return None
        after = gated_level_db(whole * gain * gain, rate)
        makeup_db = 0.0 if after is None else whole_db - after
        return Found(GainCurve(gain, hop), threshold_db, makeup_db)

    def _threshold(self, power: Curve, gated_db: float, hops_per_second: float) -> float:
        """The threshold at which the mean reduction, ballistics left out, is `reduction_db`."""
        counts, middles = _histogram(power, gated_db, hops_per_second)
        low, high = gated_db - 40.0, gated_db + 20.0
        for _ in range(12):
            middle = (low + high) / 2
            mean = float(np.average(self._reduction(middles - np.float32(middle)), weights=counts))
            low, high = (middle, high) if mean > self.reduction_db else (low, middle)
        return (low + high) / 2

    def _reduction(self, over_db: Curve) -> Curve:
        reduction = np.float32(1 - 1 / self.ratio) * above_knee(over_db, _KNEE_DB)
        return np.asarray(np.minimum(reduction, np.float32(3 * self.reduction_db)), np.float32)

    def _gain(self, power: Curve, threshold_db: float, hops_per_second: float) -> Curve:
        """Linear gain without make-up."""
        wanted = self._reduction(level_db(power, hops_per_second) - np.float32(threshold_db))
        fast, slow = (ballistics(wanted, self.attack_ms, ms, hops_per_second) for ms in (_FAST_MS, _SLOW_MS))
        return from_db(np.float32(-0.5) * (fast + slow))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain and the make-up."""
        makeup = np.float32(10 ** (found.makeup_db / 20))
        return np.asarray(found.curve.apply(block, start) * makeup, np.float32)

    def describe(self, found: Found) -> dict[str, Any]:
        """Threshold, make-up, and the reduction."""
        return {
            "threshold_db": round(found.threshold_db, 2),
            "makeup_db": round(found.makeup_db, 2),
            "max_reduction_db": round(-found.curve.lowest_db, 2),
            "active_share": found.curve.active_share,
        }


def _histogram(power: Curve, gated_db: float, hops_per_second: float) -> tuple[npt.NDArray[np.intp], Curve]:
    """How often each level occurs where the music plays: counts, and the middles of the steps in dB."""
    lowest, steps = gated_db - 2 * QUIET_DB, round(50.0 / _STEP_DB)
    counts = np.zeros(steps, np.intp)
    piece = 1 << 17
    for begin in range(0, len(power), piece):
        level = level_db(power[begin : begin + piece], hops_per_second)
        playing = level[level > gated_db - QUIET_DB]
        index = ((playing - lowest) / _STEP_DB).astype(np.intp).clip(0, steps - 1)
        counts += np.bincount(index, minlength=steps)
    if not counts.any():
        counts[round(2 * QUIET_DB / _STEP_DB)] = 1
    middles = lowest + (np.arange(steps) + 0.5) * _STEP_DB
    return counts, np.asarray(middles, np.float32)

"""Gate: lowers what sounds between the hits of a stem, such as bleed, and leaves the hits as they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.curve import new_curve
from engine.processors.gain_curve import FADED, GainCurve, decay, fall, from_db, hops, piecewise
from engine.processors.level import Curve, Envelope
from engine.processors.processor import Processor

Open = npt.NDArray[np.bool_]

_PIECE = 1 << 17


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    threshold_db: float
    floor_db: float


class Gate(Processor):
    """Downward gate with hysteresis, hold and look-ahead, linked over the channels.

    It opens where the peak of a hop rises above the threshold, and closes when the peak has stayed
    `hysteresis_db` below it for `hold_ms`. As the whole recording is known, the gain is already back at 0 dB
    when a hit begins: it rises exponentially before, and falls exponentially after the hold. Where the gate
    is open the gain is exactly 1.
    """

    effect: ClassVar[str] = "gate"
    linear: ClassVar[bool] = False

    threshold_db: float = Field(-24.0, ge=-80, le=20, description="relative to the stem's gated RMS level")
    range_db: float = Field(12.0, ge=0, le=40, description="how far the rest is lowered; never to silence")
    hysteresis_db: float = Field(6.0, ge=0, le=30, description="the gate closes this far below the threshold")
    attack_ms: float = Field(2.0, ge=0.1, le=50, description="time constant of opening, before the hit")
    hold_ms: float = Field(50.0, ge=5, le=1000, description="stays open this long after the level has fallen")
    release_ms: float = Field(100.0, ge=1, le=5000, description="time constant of closing")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence and where the gate would never close."""
        envelope = Envelope.of(source)
        level = envelope.gated_db
        if level is None or self.range_db == 0:
            return None
        threshold = 10 ** ((level + self.threshold_db) / 20)
        is_open = self._trigger(envelope.peak, threshold)
        if is_open.all():
            return None
        rate = envelope.hops_per_second
        reach = hops(self.hold_ms + FADED * max(self.attack_ms, self.release_ms), rate)
        gain = piecewise(lambda piece: self._gain(piece, rate), [is_open], reach)
        return Found(
            curve=GainCurve(gain, envelope.hop_length),
            threshold_db=level + self.threshold_db,
            floor_db=envelope.percentile_db(10),
        )

    def _trigger(self, peak: Curve, threshold: float) -> Open:
        """Schmitt trigger: between both thresholds the state is that of the last hop outside of them."""
        is_open: Open = new_curve(len(peak), np.bool_)
        state = False
        for begin in range(0, len(peak), _PIECE):
            piece = peak[begin : begin + _PIECE]
            above = piece > threshold
            decided = above | (piece < threshold * 10 ** (-self.hysteresis_db / 20))
            last = np.maximum.accumulate(np.where(decided, np.arange(len(piece)), -1))
            is_open[begin : begin + _PIECE] = np.where(last >= 0, above[last], state)
            state = bool(is_open[begin + len(piece) - 1])
        return is_open

    def _gain(self, is_open: Open, hops_per_second: float) -> Curve:
        """Linear gain from the trigger: hold, look-ahead and release."""
        hold = math.ceil(hops(self.hold_ms, hops_per_second))
        held = fall(is_open * np.float32(hold + 1), 1.0) > 0.5
        # One hop before as well: the gain is interpolated, and the whole first hop is to have it in full.
        held[:-1] |= held[1:]
        opening = held.astype(np.float32)
        after = decay(opening, hops(self.release_ms, hops_per_second))
        before = decay(opening[::-1], hops(self.attack_ms, hops_per_second))[::-1]
        return from_db(-np.float32(self.range_db) * (1 - np.maximum(after, before)))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """Threshold, floor and how long the gate is closed."""
        return {
            "threshold_db": round(found.threshold_db, 2),
            "floor_db": round(found.floor_db, 2),
            "closed_share": found.curve.active_share,
        }

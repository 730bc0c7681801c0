"""De-esser: lowers the band of the sibilants, only there and only while they stand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.curve import let_go, new_curve
from engine.processors.gain_curve import GainCurve, from_db, hann, hops, piecewise
from engine.processors.level import TINY, Curve, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

#: Half the length of the band filter; the transition band is then about 500 Hz wide.
_FILTER_S = 0.003
#: Over how long band powers are averaged, and the gain smoothed, on either side.
_AVERAGE_MS = 4.0
_SMOOTH_MS = 4.0
_AROUND_MS = 20.0


@dataclass(frozen=True)
class Found:
    """The gain of the band."""

    curve: GainCurve


class Deess(Processor):
    """Split-band de-esser with a relative threshold, linked over the channels.

    A sibilant is where the band is louder than `threshold_db` relative to the rest of the spectrum, which
    holds for a whispered one as for a shouted one, and louder than `floor_db` relative to the stem: what is
    softer is breath, hiss, or an s that was tamed before. Each dB above both lowers the band by one dB, up to
    `range_db`.
    The band is split off by a linear-phase FIR filter whose delay is taken out. What is taken away is
    subtracted, so that the signal is left bit-exact while nothing is to be done.
    """

    effect: ClassVar[str] = "deess"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 2 * _FILTER_S

    threshold_db: float = Field(-6.0, ge=-40, le=40, description="band relative to the rest of the spectrum")
    floor_db: float = Field(-40.0, ge=-60, le=20, description="band relative to the stem's gated RMS level")
    range_db: float = Field(8.0, ge=0, le=30, description="never lowers the band by more than this")
    low_hz: float = Field(4000.0, ge=1000, le=20000, description="where the band begins")
    high_hz: float = Field(14000.0, ge=2000, le=96000, description="where the band ends")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence, without sibilants, or if the sample rate has no such band."""
        rate = source.sample_rate
        if self.low_hz >= min(self.high_hz, 0.45 * rate):
            return None
        hop = hop_length(rate)
        context = len(self._filter(rate)) // 2
        whole, band, rest = (new_curve(-(-source.frames // hop)) for _ in range(3))
        for start in range(0, source.frames, BLOCK_FRAMES):
            stop = min(start + BLOCK_FRAMES, source.frames)
            block = source.read(start - context, stop + context)
            inside = slice(context, context + stop - start)
            split = self._band(block, rate)[:, inside]
            block = block[:, inside]
            at = slice(start // hop, -(-stop // hop))
            whole[at], band[at], rest[at] = (hop_power(part, hop) for part in (block, split, block - split))
            let_go(whole, band, rest)
        level = gated_level_db(whole, rate / hop)
        if level is None:
            return None
        gain = piecewise(
            lambda band, rest: self._gain(band, rest, level, rate / hop),
            [band, rest],
            hops(_AROUND_MS, rate / hop),
        )
        curve = GainCurve(gain, hop)
        return Found(curve) if curve.is_audible else None

    def _gain(self, band: Curve, rest: Curve, level_db: float, hops_per_second: float) -> Curve:
        """Linear gain of the band from the power in it and in the rest of the spectrum."""
        average = round(hops(_AVERAGE_MS, hops_per_second))
        band_db = 10 * np.log10(np.maximum(hann(band, average), np.float32(TINY)))
        rest_db = 10 * np.log10(np.maximum(hann(rest, average), np.float32(TINY)))
        over_db = band_db - np.maximum(
            rest_db + np.float32(self.threshold_db), np.float32(level_db + self.floor_db)
        )
        over_db = over_db.clip(0, self.range_db)
        return from_db(-hann(over_db, round(hops(_SMOOTH_MS, hops_per_second))))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block less what is taken from the band."""
        gain = found.curve.over(start, block.shape[1])
        if float(gain.min()) == 1.0:
            return block
        return block + (gain - 1) * self._band(block, sample_rate)

    def _filter(self, sample_rate: int) -> Curve:
        from scipy.signal import firwin

        taps = 2 * round(_FILTER_S * sample_rate) + 1
        # A band that reaches up to half the sample rate has no upper edge.
        edges = [self.low_hz, self.high_hz] if self.high_hz < 0.45 * sample_rate else [self.low_hz]
        return np.asarray(firwin(taps, edges, pass_zero=False, fs=sample_rate), np.float32)

    def _band(self, block: Audio, sample_rate: int) -> Audio:
        from scipy.signal import oaconvolve

        return np.asarray(oaconvolve(block, self._filter(sample_rate)[None], "same", axes=1), np.float32)

    def describe(self, found: Found) -> dict[str, Any]:
        """How much the band is lowered for how long."""
        return {
            "max_reduction_db": round(-found.curve.lowest_db, 2),
            "active_share": found.curve.active_share,
        }

"""Limiter: keeps the true peak of a mix under a ceiling and touches nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.curve import let_go, new_curve, pieces
from engine.processors.gain_curve import FADED, GainCurve, decay, from_db, hann, hops, piecewise
from engine.processors.level import Curve, hop_length, hop_peak
from engine.processors.processor import Processor

#: Interpolation filters as (oversampling, reach in frames, Kaiser beta or None for Hann). Near half the
#: sample rate "the" true peak depends on the filter by some tenths of a dB, so a peak is what the highest of
#: three says: that of libebur128, that of scipy's resample_poly and a long one.
_FILTERS: tuple[tuple[int, int, float | None], ...] = ((4, 6, None), (8, 10, 5.0), (8, 24, 6.0))
_REACH = max(reach for _, reach, _ in _FILTERS)
#: Covers what a finer grid would find, and that the gain moves while an interpolation filter runs over it.
_MARGIN_DB = 0.02
#: A release that has come this close to 0 dB has come to its end.
_RELEASED_DB = 1e-3
_HOPS_AT_ONCE = 1024


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    true_peak_db: float


class Limiter(Processor):
    """Look-ahead true-peak limiter without delay, linked over the channels.

    True peaks are found by oversampling, as ITU-R BS.1770-4 annex 2 demands, up to 8-fold. The gain that each
    hop needs becomes a gain over time by a minimum over the look-ahead on both sides, an exponential release
    and an average over the same look-ahead. Averages of gains that are all low enough are low enough, so the
    ceiling holds by construction. The one effect whose level is absolute: it belongs on a finished mix.
    With `amount` below 1 the ceiling doesn't hold.
    """

    effect: ClassVar[str] = "limiter"
    linear: ClassVar[bool] = False

    ceiling_db: float = Field(-1.0, ge=-40, le=0, description="highest true peak in dBTP")
    lookahead_ms: float = Field(2.0, ge=1, le=20, description="the gain moves this long around a peak")
    release_ms: float = Field(80.0, ge=1, le=5000, description="time constant of coming back")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None if no true peak is above the ceiling."""
        hop = hop_length(source.sample_rate)
        highest = 10 ** (self.ceiling_db / 20)
        peaks = _true_peaks(source, hop, highest)
        true_peak = max((float(part.max()) for (part,) in pieces(peaks)), default=0.0)
        if true_peak <= highest:
            return None
        target = 10 ** ((self.ceiling_db - _MARGIN_DB) / 20)
        rate = source.sample_rate / hop
        reach = hops(2 * self.lookahead_ms + FADED * self.release_ms, rate) + 2
        gain = piecewise(lambda peak: self._gain(peak, target, rate), [peaks], reach)
        return Found(GainCurve(gain, hop), 20 * math.log10(true_peak))

    def _gain(self, peak: Curve, target: float, hops_per_second: float) -> Curve:
        """Linear gain that brings the peak of every hop under `target`."""
        from scipy.ndimage import maximum_filter1d

        wanted = 20 * np.log10(np.maximum(peak, np.float32(target)) / np.float32(target))
        radius = max(1, round(hops(self.lookahead_ms, hops_per_second)))
        # One hop more, because the gain in a hop is interpolated with both neighbours.
        held = maximum_filter1d(wanted, 2 * (radius + 1) + 1, mode="nearest")
        released = decay(held, hops(self.release_ms, hops_per_second))
        return from_db(-hann(np.where(released < _RELEASED_DB, np.float32(0), released), radius))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """The true peak before, and how much is turned down for how long."""
        return {
            "true_peak_db": round(found.true_peak_db, 2),
            "max_reduction_db": round(-found.curve.lowest_db, 2),
            "active_share": found.curve.active_share,
        }


def _true_peaks(source: AudioBuffer, hop: int, ceiling: float) -> Curve:
    """Largest oversampled magnitude over the channels per hop; 0 where it can't be above `ceiling`."""
    from numpy.lib.stride_tricks import sliding_window_view
    from scipy.ndimage import maximum_filter1d

    matrix = _interpolation(hop)
    # No interpolated value is above the highest sample in reach times this sum.
    bound = ceiling / float(np.abs(matrix).sum(axis=0).max())
    neighbours = 2 * -(-_REACH // hop) + 1
    peaks: Curve = new_curve(-(-source.frames // hop))
    for start in range(0, source.frames, BLOCK_FRAMES):
        count = -(-(min(start + BLOCK_FRAMES, source.frames) - start) // hop)
        pad = neighbours // 2 * hop
        block = source.read(start - pad, start + count * hop + pad)
        for channel in block:
            nearby = maximum_filter1d(hop_peak(channel[None], hop), neighbours)[neighbours // 2 :][:count]
            loud = np.flatnonzero(nearby > bound)
            windows = sliding_window_view(channel[pad - _REACH :], hop + 2 * _REACH)[::hop]
            for first in range(0, len(loud), _HOPS_AT_ONCE):
                chosen = loud[first : first + _HOPS_AT_ONCE]
                oversampled = windows[chosen] @ matrix
                highest = np.maximum(oversampled.max(axis=1), -oversampled.min(axis=1))
                at = start // hop + chosen
                peaks[at] = np.maximum(peaks[at], highest)
        let_go(peaks)
    return peaks


def _interpolation(hop: int) -> Audio:
    """Matrix from a window of hop + 2 * reach frames to the same hop oversampled, by windowed sincs."""
    columns = []
    for oversampling, reach, beta in _FILTERS:
        at = np.arange(hop * oversampling) / oversampling + _REACH
        distance = at - np.arange(hop + 2 * _REACH)[:, None]
        if beta is None:
            window = 0.5 + 0.5 * np.cos(np.pi * distance / reach)
        else:
            window = np.i0(beta * np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))) / np.i0(beta)
        columns.append(np.where(np.abs(distance) < reach, np.sinc(distance) * window, 0))
    return np.concatenate(columns, axis=1).astype(np.float32)

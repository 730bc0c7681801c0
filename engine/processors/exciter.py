"""Exciter: adds the harmonics of a band above it, as far as what is above it is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.crossover import HIGHEST, below, split, split_blocks
from engine.processors.curve import let_go, new_curve
from engine.processors.gain_curve import GainCurve, hann, hops
from engine.processors.level import TINY, Curve, decibels, gated_level_db, hop_length, hop_peak, hop_power
from engine.processors.processor import Processor

#: The polynomial's highest power is 3. At twice the rate its products fold back above half the rate only.
_OVERSAMPLING = 2
#: The band that is driven reaches from this share of the crossover up to this multiple of it.
_FROM, _TO = 0.4, 1.5
#: Peaks are held for this long on both sides and smoothed over as much again.
_HOLD_MS = 6.0
#: The ratio of both bands is taken over this time on either side, and where the driven one is no further
#: below its own level than that.
_AVERAGE_MS = 20.0
_PLAYING_DB = 10.0
#: Less than this missing is nothing.
_LEAST_DB = 0.5
#: The level of the harmonics is measured in so many stretches of so many frames.
_PIECES, _PIECE = 4, 1 << 15
#: A driven band this far below the whole stem is empty.
_EMPTY_DB = 50.0


@dataclass(frozen=True)
class Found:
    """The envelope of the driven band per hop, the gain of what is made from it, and the ratio before."""

    envelope: GainCurve
    gain: float
    before_db: float


class Exciter(Processor):
    """Second and third harmonics of the band around `crossover_hz`, of which only what is above is added.

    What is above the crossover is held against the driven band, as a median over time, so that sibilants
    don't count. Where it is weaker than `target_db`, harmonics make up the difference; a bright sound is left
    alone.

    The driven band is divided by its own envelope and shaped by the Chebyshev polynomials of degree 2 and 3,
    which turn a full-scale tone into its second and third harmonic, then multiplied by the envelope again: a
    soft word gets as much air as a loud one. A cubic at twice the sample rate does not alias into the audible
    band. The sound itself is not touched.
    """

    effect: ClassVar[str] = "exciter"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.1

    crossover_hz: float = Field(5000.0, ge=1000, le=16000, description="harmonics are added above this")
    target_db: float = Field(-18.0, ge=-60, le=0, description="what is above, relative to the driven band")
    even: float = Field(0.5, ge=0, le=1, description="share of the second harmonic; the rest is the third")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """Envelope and gain; None for silence, or where nothing is in the driven band."""
        rate = source.sample_rate
        if self.crossover_hz >= HIGHEST * rate / 2:
            return None
        hop = hop_length(rate)
        count = -(-source.frames // hop)
        peak, above, driven, whole = (new_curve(count) for _ in range(4))
        for start, (low, band, rest, top) in split_blocks(source, self._edges, BLOCK_FRAMES):
            at = slice(start // hop, -(-(start + low.shape[1]) // hop))
            high, band = rest + top, band + rest
            peak[at], driven[at], above[at] = hop_peak(band, hop), hop_power(band, hop), hop_power(high, hop)
            whole[at] = hop_power(low + band + top, hop)
            let_go(peak, above, driven, whole)
        driven_db, whole_db = (gated_level_db(power, rate / hop) for power in (driven, whole))
        if driven_db is None or whole_db is None or driven_db < whole_db - _EMPTY_DB:
            return None
        envelope = GainCurve(_envelope(peak, rate / hop), hop)
        there = _ratio(above, driven, driven_db, rate / hop)
        wanted = 10 ** (self.target_db / 10)
        if there > wanted * 10 ** (-_LEAST_DB / 10):
            return None
        made = self._made_share(source, envelope, driven)
        if made == 0.0:
            return None
        return Found(envelope, math.sqrt((wanted - there) / made), decibels(there))

    @property
    def _edges(self) -> tuple[float, float, float]:
        """Where the driven band begins, where harmonics are added from, and where the driven band ends."""
        return _FROM * self.crossover_hz, self.crossover_hz, _TO * self.crossover_hz

    def _made_share(self, source: AudioBuffer, envelope: GainCurve, driven: Curve) -> float:
        """Power of the harmonics before their gain over that of the driven band, where that is loudest."""
        rate, hops_each = source.sample_rate, _PIECE // envelope.hop_length
        starts = np.arange(0, len(driven), hops_each)
        powers = np.add.reduceat(driven, starts, dtype=np.float64)
        context = -(-int(self.context_s * rate) // _PIECE) * _PIECE
        made = 0.0
        loudest = np.sort(np.argsort(-powers, kind="stable")[:_PIECES])
        for piece in loudest:
            start = int(piece) * _PIECE
            stop = min(start + _PIECE, source.frames)
            block = self._harmonics(
                source.read(start - context, stop + context), start - context, rate, envelope
            )
            made += float(np.square(block[:, context : context + stop - start], dtype=np.float64).sum())
        frames = envelope.hop_length * source.channels
        return made / (frames * max(float(powers[loudest].sum()), TINY))

    def _harmonics(self, block: Audio, start: int, sample_rate: int, envelope: GainCurve) -> Audio:
        """What is added, before its gain."""
        import soxr

        _, band, rest, _ = split(block, self._edges, sample_rate)
        at = envelope.over(start, block.shape[1])
        unit = ((band + rest) / np.maximum(at, np.float32(1e-9))).clip(-1.2, 1.2)
        unit = soxr.resample(np.ascontiguousarray(unit.T), 1, _OVERSAMPLING)
        square = unit * unit
        even, odd = np.float32(self.even), np.float32(1 - self.even)
        shaped = even * (2 * square - 1) + odd * unit * (4 * square - 3)
        made = soxr.resample(shaped, _OVERSAMPLING, 1).T[:, : block.shape[1]] * at
        return np.asarray(made - below(made, self.crossover_hz, sample_rate), np.float32)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block and its harmonics."""
        made = self._harmonics(block, start, sample_rate, found.envelope)
        made *= np.float32(found.gain)
        return np.add(block, made, out=made)

    def describe(self, found: Found) -> dict[str, Any]:
        """From where, and how loud what is above was and is, relative to the driven band."""
        return {
            "crossover_hz": self.crossover_hz,
            "before_db": round(found.before_db, 2),
            "after_db": self.target_db,
        }


def _ratio(above: Curve, driven: Curve, driven_db: float, hops_per_second: float) -> float:
    """The median power above the crossover over that of the driven band, where that one plays."""
    radius = max(1, round(hops(_AVERAGE_MS, hops_per_second)))
    ratios, piece = [], 1 << 17
    for begin in range(0, len(driven), piece):
        upper, lower = (hann(curve[begin : begin + piece], radius)[::radius] for curve in (above, driven))
        playing = lower > 10 ** ((driven_db - _PLAYING_DB) / 10)
        ratios.append(upper[playing] / lower[playing])
    return float(np.median(np.concatenate(ratios))) if any(len(part) for part in ratios) else 0.0


def _envelope(peak: Curve, hops_per_second: float) -> Curve:
    """A smooth curve that no peak exceeds."""
    from scipy.ndimage import maximum_filter1d

    radius = max(1, round(hops(_HOLD_MS, hops_per_second)))
    return hann(maximum_filter1d(peak, 2 * radius + 1, mode="nearest"), radius)

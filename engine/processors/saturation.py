"""Saturation: adds harmonics, of the whole stem or of one band of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.crossover import below, reach
from engine.processors.curve import let_go, new_curve
from engine.processors.level import decibels, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

_OVERSAMPLING = 4
#: A band below this share of the sample rate needs no oversampling: its harmonics don't reach half the rate.
_LOW_BAND = 1 / 64
#: A band this far below the whole stem is empty.
_EMPTY_DB = 50.0
#: The mean over this time, as the standard deviation of a Gaussian, is the DC that is taken out.
_DC_S = 0.03


@dataclass(frozen=True)
class Found:
    """How the distortion is made and mixed: output = dry * signal + wet * distortion."""

    reference: float
    slope: float
    dry: float
    wet: float
    distortion_db: float


class Saturation(Processor):
    """tanh saturation, 4 times oversampled, driven relative to the stem's gated RMS level.

    What the curve y = tanh(x) makes of the signal is split in a part proportional to the signal (by least
    squares) and the rest, which is the distortion. Only the distortion goes through the resamplers (Zölzer,
    ed., "DAFX: Digital Audio Effects", 2nd ed., ch. 4, on aliasing); the signal itself stays as it is, up to
    half the sample rate. The result has the energy of the stem.

    With `below_hz` and/or `above_hz` only that band is driven and its distortion added: harmonics of the
    bass that small speakers can play, or an exciter. The bands are split by linear-phase FIR filters whose
    delay is taken out.
    """

    effect: ClassVar[str] = "saturation"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.3

    drive_db: float = Field(-14.0, ge=-40, le=24, description="gated RMS level over the bend of the curve")
    below_hz: float | None = Field(None, ge=20, le=96000, description="drive only what is below")
    above_hz: float | None = Field(None, ge=20, le=96000, description="drive only what is above")

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> Saturation:
        if self.below_hz is not None and self.above_hz is not None and self.above_hz >= self.below_hz:
            raise ValueError("above_hz must be lower than below_hz")
        return self

    def analyse(self, source: AudioBuffer) -> Found | None:
        """Reference level and gains; None for silence, and if there is nothing in the band."""
        rate = source.sample_rate
        if self.above_hz is not None and self.above_hz >= 0.45 * rate:
            return None
        hop = hop_length(rate)
        whole_power, band_power = (new_curve(-(-source.frames // hop)) for _ in range(2))
        for start, block, band in self._bands(source):
            at = slice(start // hop, -(-(start + block.shape[1]) // hop))
            whole_power[at], band_power[at] = hop_power(block, hop), hop_power(band, hop)
            let_go(whole_power, band_power)
        whole_db, level_db = (gated_level_db(power, rate / hop) for power in (whole_power, band_power))
        if whole_db is None or level_db is None or level_db < whole_db - _EMPTY_DB:
            return None

        reference = 10 ** ((level_db - self.drive_db) / 20)
        sums = np.zeros((3, 3))
        for _, block, band in self._bands(source):
            # Sums over samples are the same with and without oversampling, near enough for the gains.
            parts = np.stack([block, band, reference * np.tanh(band / np.float32(reference))])
            sums += np.einsum("acn,bcn->ab", parts, parts, optimize=True)
        (whole, whole_band, whole_bent), (_, square, linear), (_, _, bent) = sums
        slope = linear / square
        distortion = max(bent - slope * linear, 0.0) / slope**2
        energy = whole + 2 * (whole_bent / slope - whole_band) + distortion
        dry = math.sqrt(whole / energy)
        return Found(reference, slope, dry, dry / slope, decibels(distortion / square))

    def _bands(self, source: AudioBuffer) -> Iterator[tuple[int, Audio, Audio]]:
        """(start, block, what is driven of it) over the recording."""
        edges = [edge for edge in (self.below_hz, self.above_hz) if edge is not None]
        context = sum(reach(edge, source.sample_rate) for edge in edges)
        for start in range(0, source.frames, BLOCK_FRAMES):
            stop = min(start + BLOCK_FRAMES, source.frames)
            block = source.read(start - context, stop + context)
            inside = slice(context, context + stop - start)
            yield start, block[:, inside], self._band(block, source.sample_rate)[:, inside]

    def _band(self, block: Audio, sample_rate: int) -> Audio:
        """The part of the signal that is driven."""
        band = _above(block, self.above_hz, sample_rate)
        return band if self.below_hz is None else below(band, self.below_hz, sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with its distortion."""
        import soxr

        band = self._band(block, sample_rate)
        low = self.below_hz is not None and self.below_hz < _LOW_BAND * sample_rate
        if not low:
            band = soxr.resample(np.ascontiguousarray(band.T), 1, _OVERSAMPLING).T
        reference, slope = np.float32(found.reference), np.float32(found.slope)
        distortion = reference * np.tanh(band / reference) - slope * band
        if not low:
            distortion = soxr.resample(np.ascontiguousarray(distortion.T), _OVERSAMPLING, 1).T
        # An exciter is to leave everything below its band alone, so no intermodulation either.
        distortion = _above(distortion, self.above_hz, sample_rate)
        distortion = distortion - _slow_mean(distortion, sample_rate)
        return np.asarray(np.float32(found.dry) * block + np.float32(found.wet) * distortion, np.float32)

    def describe(self, found: Found) -> dict[str, Any]:
        """Level of the distortion relative to what was driven, the curve's bend, and the make-up gain."""
        return {
            "distortion_db": round(found.distortion_db, 2),
            "reference_db": round(20 * math.log10(found.reference), 2),
            "makeup_db": round(20 * math.log10(found.dry), 2),
        }


def _above(block: Audio, edge_hz: float | None, sample_rate: int) -> Audio:
    """What is above `edge_hz`, in phase with `block`; all of it without an edge."""
    return block if edge_hz is None else block - below(block, edge_hz, sample_rate)


def _slow_mean(block: Audio, sample_rate: int) -> Audio:
    """The running mean of every channel over about 0.1 s, shape (channels, n)."""
    from scipy.ndimage import gaussian_filter1d

    hop = 8 * hop_length(sample_rate)
    count = block.shape[1]
    padded = np.pad(block, ((0, 0), (0, -count % hop)))
    means = padded.reshape(len(block), -1, hop).mean(axis=2)
    means = gaussian_filter1d(means, _DC_S * sample_rate / hop, axis=1, mode="nearest")
    middle = np.arange(means.shape[1]) * hop + (hop - 1) / 2
    return np.stack([np.interp(np.arange(count), middle, mean) for mean in means]).astype(np.float32)

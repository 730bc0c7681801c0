"""Saturation: adds harmonics, of the whole stem or of one band of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from engine.audio.buffer import BLOCK_FRAMES, GRID_FRAMES, Audio, AudioBuffer
from engine.processors.level import decibels, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

_OVERSAMPLING = 4
#: A band below this share of the sample rate needs no oversampling: its harmonics don't reach half the rate.
_LOW_BAND = 1 / 64
#: The mean over this time, as the standard deviation of a Gaussian, is the DC that is taken out.
_DC_S = 0.03


@dataclass(frozen=True)
class Found:
    """How the harmonics are made and mixed: output = dry * signal + wet * distortion."""

    reference: float
    slope: float
    dry: float
    wet: float
    distortion_db: float


class Saturation(Processor):
    """tanh saturation, 4 times oversampled, driven relative to the stem's gated RMS level.

    What the curve y = tanh(x) makes of the signal is split in a part proportional to the signal (by least
    squares) and the rest, which is the distortion. Only the distortion goes through the resamplers; the signal
    itself stays as it is, to half the sample rate. The whole stem keeps its gated RMS level.

    With `below_hz` and/or `above_hz` only that band is driven and its distortion added: harmonics of the
    bass that small speakers can play, or an exciter. The bands are split by zero-phase Butterworth filters.
    Oversampling: Zölzer (ed.), "DAFX: Digital Audio Effects", 2nd ed., ch. 4.
    """

    effect: ClassVar[str] = "saturation"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.2

    drive_db: float = Field(
        -6.0, ge=-40, le=24, description="gated RMS level relative to the bend of the curve"
    )
    below_hz: float | None = Field(None, ge=20, le=96000, description="drive only what is below")
    above_hz: float | None = Field(None, ge=20, le=96000, description="drive only what is above")

    @model_validator(mode="after")
    def _band_is_not_empty(self) -> Saturation:
        if self.below_hz is not None and self.above_hz is not None and self.above_hz >= self.below_hz:
            raise ValueError("above_hz must be lower than below_hz")
        return self

    def analyse(self, source: AudioBuffer) -> Found | None:
        """Reference level and gains; None for silence or if the sample rate has no such band."""
        rate = source.sample_rate
        if self.above_hz is not None and self.above_hz >= 0.45 * rate:
            return None
        hop = hop_length(rate)
        before, after = (np.zeros(-(-source.frames // hop), np.float32) for _ in range(2))
        for start, stop, band in self._bands(source):
            before[start // hop : -(-stop // hop)] = hop_power(band, hop)
        level = gated_level_db(before, rate / hop)
        if level is None:
            return None
        reference = 10 ** ((level - self.drive_db) / 20)
        linear = square = bent_square = 0.0
        for start, stop, band in self._bands(source):
            # Sums over samples are the same with and without oversampling, near enough for the gains.
            bent = reference * np.tanh(band / np.float32(reference))
            after[start // hop : -(-stop // hop)] = hop_power(bent, hop)
            linear += float(np.vdot(bent, band))
            square += float(np.vdot(band, band))
            bent_square += float(np.vdot(bent, bent))
        slope = linear / square
        makeup = 10 ** ((level - (gated_level_db(after, rate / hop) or level)) / 20)
        return Found(
            reference=reference,
            slope=slope,
            dry=1.0 if self._one_band else slope * makeup,
            wet=1 / slope if self._one_band else makeup,
            distortion_db=decibels(max(bent_square - linear * slope, 0.0) / (linear * slope)),
        )

    @property
    def _one_band(self) -> bool:
        return self.below_hz is not None or self.above_hz is not None

    def _bands(self, source: AudioBuffer) -> Any:
        """(start, stop, band) over the recording."""
        context = (
            -(-int(self.context_s * source.sample_rate) // GRID_FRAMES) * GRID_FRAMES if self._one_band else 0
        )
        for start in range(0, source.frames, BLOCK_FRAMES):
            stop = min(start + BLOCK_FRAMES, source.frames)
            block = source.read(start - context, stop + context)
            yield start, stop, self._band(block, source.sample_rate)[:, context : context + stop - start]

    def _band(self, block: Audio, sample_rate: int) -> Audio:
        """The part of the signal that is driven."""
        band = _zero_phase(block, self.above_hz, "highpass", sample_rate)
        return _zero_phase(band, self.below_hz, "lowpass", sample_rate)

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
        # An exciter is to leave everything below its band alone, intermodulation as well.
        distortion = _zero_phase(distortion, self.above_hz, "highpass", sample_rate)
        distortion = distortion - _slow_mean(distortion, sample_rate)
        return np.asarray(np.float32(found.dry) * block + np.float32(found.wet) * distortion, np.float32)

    def describe(self, found: Found) -> dict[str, Any]:
        """Level of the distortion relative to what was driven, and the gain that keeps the level."""
        return {
            "distortion_db": round(found.distortion_db, 2),
            "reference_db": round(20 * math.log10(found.reference), 2),
        }


def _zero_phase(block: Audio, edge_hz: float | None, kind: str, sample_rate: int) -> Audio:
    """A Butterworth filter of second order, forwards and backwards; None or an edge too high: as it is."""
    from scipy.signal import butter, sosfiltfilt

    if edge_hz is None or edge_hz >= 0.45 * sample_rate:
        return block
    sections = butter(2, edge_hz, kind, fs=sample_rate, output="sos")
    return np.asarray(sosfiltfilt(sections, block, axis=1, padtype=None), np.float32)


def _slow_mean(block: Audio, sample_rate: int) -> Audio:
    """The running mean of every channel over about 0.1 s, shape (channels, n)."""
    from scipy.ndimage import gaussian_filter1d

    hop = GRID_FRAMES // 32 if sample_rate > 16000 else GRID_FRAMES // 256
    count = block.shape[1]
    padded = np.pad(block, ((0, 0), (0, -count % hop)))
    means = padded.reshape(len(block), -1, hop).mean(axis=2)
    means = gaussian_filter1d(means, _DC_S * sample_rate / hop, axis=1, mode="nearest")
    middle = np.arange(means.shape[1]) * hop + (hop - 1) / 2
    return np.stack([np.interp(np.arange(count), middle, mean) for mean in means]).astype(np.float32)

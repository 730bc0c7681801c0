"""Balance: takes broad humps and dips out of a spectrum, measured against the sound's own slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.filters import HALF_LENGTH_S, linear_phase, zero_phase
from engine.processors.level import TINY
from engine.processors.processor import Processor
from engine.processors.stft import root_hann, window_length

Doubles = npt.NDArray[np.float64]

#: Length of the analysis window: bins of about 11 Hz.
_WINDOW_S = 0.0929
#: Third-octave bands in which the spectrum is judged.
_LOWEST_HZ, _HIGHEST_HZ, _PER_OCTAVE = 60.0, 14_000.0, 3
#: A band this far below the slope is empty (a band limit, a missing register), not a dip.
_EMPTY_DB = 15.0
#: Fewer bands than this have no slope.
_FEWEST = 8
#: Corrections smaller than this are not worth a filter.
_LEAST_DB = 0.2


@dataclass(frozen=True)
class _Found:
    taps: npt.NDArray[np.float32]
    centres_hz: Doubles
    gain_db: Doubles


class Balance(Processor):
    """A broad, zero-phase equaliser that measures first and mostly does nothing.

    The long-term spectrum in third octaves is held against its own slope, a parabola over the octaves. What
    sticks out of it by more than `tolerance_db` is taken back by `strength`, at most
    `range_db` down and half as much up, and smoothly over an octave; a band that is empty stays empty.
    """

    effect: ClassVar[str] = "balance"
    linear: ClassVar[bool] = True
    context_s: ClassVar[float] = HALF_LENGTH_S + 0.001

    strength: float = Field(0.5, ge=0, le=1, description="share of what sticks out that is taken back")
    tolerance_db: float = Field(2.0, ge=0, le=12, description="this much may stick out")
    range_db: float = Field(2.0, ge=0, le=12, description="no band is lowered further than this")

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """The filter; None for silence, and for a spectrum that keeps to its slope."""
        centres, power = _band_powers(source)
        if len(centres) < _FEWEST or float(power.max()) <= TINY:
            return None
        level = 10 * np.log10(np.maximum(power, TINY))
        off, empty = _off_slope(np.log2(centres), level)
        off = np.where(empty, 0.0, off)
        smooth = np.convolve(np.pad(off, 2, mode="edge"), np.array([1, 2, 3, 2, 1]) / 9, "valid")
        beyond = np.sign(smooth) * np.maximum(np.abs(smooth) - self.tolerance_db, 0)
        # A dip is more often the arrangement's than a fault: it is filled half as far as a hump is lowered.
        gain = np.where(empty, 0.0, (-self.strength * beyond).clip(-self.range_db, self.range_db / 2))
        if float(np.abs(gain).max()) < _LEAST_DB:
            return None

        def magnitude(frequency_hz: Doubles) -> Doubles:
            at = np.interp(np.log2(np.maximum(frequency_hz, 1.0)), np.log2(centres), gain)
            return np.asarray(10 ** (at / 20), np.float64)

        return _Found(linear_phase(magnitude, source.sample_rate), centres, gain)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """The block through the filter."""
        return zero_phase(block, found.taps)

    def describe(self, found: _Found) -> dict[str, Any]:
        """The gain by third octave."""
        bands = zip(found.centres_hz, found.gain_db, strict=True)
        return {"gain_db": {f"{centre:.0f}": round(float(gain), 2) for centre, gain in bands}}


def _band_powers(source: AudioBuffer) -> tuple[Doubles, Doubles]:
    """Centres of the third octaves that the sample rate holds, and their mean power over the recording."""
    from scipy.fft import rfft

    length = window_length(source.sample_rate, _WINDOW_S)
    window = np.square(root_hann(length))
    total = np.zeros(length // 2 + 1)
    for _, block in source.blocks(BLOCK_FRAMES):
        whole = block[:, : block.shape[1] // length * length].reshape(block.shape[0], -1, length)
        spectrum = rfft(whole * window, axis=-1, overwrite_x=True)
        total += np.square(spectrum.real).sum(axis=(0, 1)) + np.square(spectrum.imag).sum(axis=(0, 1))
    highest = min(_HIGHEST_HZ, 0.4 * source.sample_rate)
    count = int(np.log2(highest / _LOWEST_HZ) * _PER_OCTAVE) + 1
    centres = _LOWEST_HZ * 2 ** (np.arange(count) / _PER_OCTAVE)
    edges = np.append(centres, centres[-1] * 2 ** (1 / _PER_OCTAVE)) * 2 ** (-0.5 / _PER_OCTAVE)
    # Bins are shared out over the edges, since a low third octave is as narrow as one.
    cumulative = np.concatenate(([0.0], np.cumsum(total)))
    at = np.interp(edges * length / source.sample_rate + 0.5, np.arange(len(cumulative)), cumulative)
    return centres, np.diff(at)


def _off_slope(octave: Doubles, level_db: Doubles) -> tuple[Doubles, npt.NDArray[np.bool_]]:
    """How far each band is off the slope through the bands that are not empty, and which ones are empty."""
    sounding = level_db > level_db.max() - 60.0
    used, off = sounding, np.zeros_like(level_db)
    for _ in range(8):
        if int(used.sum()) < _FEWEST:
            return np.zeros_like(level_db), np.ones(len(level_db), np.bool_)
        # Least magnitudes rather than squares, so that a hump does not bend its own reference.
        weight = 1 / np.sqrt(np.maximum(np.abs(off), 1.0))
        fit = np.polyfit(octave[used], level_db[used], 2, w=weight[used])
        off = level_db - np.polyval(fit, octave)
        used = sounding & (off > -_EMPTY_DB)
    return off, ~used

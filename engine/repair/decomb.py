"""Decomb: takes away the comb of lines that a strided decoder leaves: a periodic offset and a periodic gain.

Every frame n of a period of P belongs to the class n modulo P. Over the whole recording each class has a mean
of its own (part of it constant, part of it growing with the level) and a gain of its own, which is what the
frame is times its low-pass filtered surroundings; both are taken out. For a comb that is no whole number of
frames at this rate (the sound was resampled), its lines are subtracted as the sinusoids they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.comb_detector import FOREIGN_S, Comb, find_comb, fold
from engine.repair.repair import Place, Repair

Doubles = npt.NDArray[np.float64]

#: Half the length of the window over which the level is taken.
_LEVEL_S = 0.05
#: The surroundings are what lies below this share of the comb's spacing, by a filter of so many periods.
_SURROUNDINGS, _PERIODS = 0.7, 4
#: The gains are believed as far as they are the same in so many parts of the recording.
_PARTS, _REPEATABLE = 8, 0.7
_BLOCK = 1 << 18


@dataclass(frozen=True)
class _Found:
    comb: Comb
    duration_s: float
    #: Offsets of every class: constant, and per unit of level; shape (channels, classes).
    constant: Audio
    growing: Audio
    #: Gain of every class, shape (channels, classes of the period) or (channels, 1).
    gain: Audio


class Decomb(Repair):
    """The periodic offset and gain of a decoder's stride are undone; sound without a comb stays as it is."""

    effect: ClassVar[str] = "decomb"
    artifact: ClassVar[str] = "decoder comb"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.1

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Find the comb, then its classes' offsets and gains over the whole recording."""
        comb = find_comb(source)
        if comb is None:
            return None
        measured = _measure_native(source, comb.period) if comb.period else _measure_foreign(source, comb)
        return _Found(comb, source.frames / source.sample_rate, *measured)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """The block less its classes' offsets, over their gains."""
        place = np.arange(start, start + block.shape[1])
        classes = place % found.constant.shape[1]
        result = block - found.constant[:, classes] - found.growing[:, classes] * _level(block, sample_rate)
        result /= found.gain[:, place % found.gain.shape[1]]
        # Nothing sounds before the first frame and after the last.
        result[:, ~block.any(axis=0)] = 0
        return result.astype(np.float32)

    def describe(self, found: _Found) -> dict[str, Any]:
        """The comb's spacing and its lines."""
        comb = found.comb
        places = [
            Place(start_s=0.0, end_s=round(found.duration_s, 3), low_hz=round(f, 1), high_hz=round(f, 1))
            for f in comb.lines_hz
        ]
        return self.damage_report(
            f"A metallic comb: {len(comb.lines_hz)} lines {comb.spacing_hz:.0f} Hz apart, all through.",
            "The pattern that repeats with it was subtracted and its gain evened out."
            if comb.period
            else "These lines were subtracted; in resampled sound their gain can't be evened out.",
            places,
            spacing_hz=comb.spacing_hz,
            line_height_db=comb.median_db,
        )


def _level(block: Audio, sample_rate: int) -> Audio:
    """RMS of every frame's surroundings, per channel, same shape."""
    from scipy.ndimage import uniform_filter1d

    power = uniform_filter1d(np.square(block, dtype=np.float64), 2 * int(_LEVEL_S * sample_rate) + 1, axis=1)
    level: Audio = np.sqrt(np.maximum(power, 0)).astype(np.float32)
    return level


def _measure_native(source: AudioBuffer, period: int) -> tuple[Audio, Audio, Audio]:
    """Per class: weighted least squares of the frames on 1, the level and the surroundings."""
    from scipy.signal import firwin, oaconvolve

    rate, channels = source.sample_rate, source.channels
    taps = firwin(2 * _PERIODS * period + 1, _SURROUNDINGS / period, fs=1.0)[None]
    size = _BLOCK // period * period
    context = max(_PERIODS * period, int(_LEVEL_S * rate) + 1)
    total = sum(float(np.square(block, dtype=np.float64).sum()) for _, block in source.blocks())
    quiet = 0.1 * np.sqrt(total / (source.frames * channels)) + 1e-30
    # What is summed up: products of (1, level, surroundings, frame), per part, channel and class.
    sums = np.zeros((_PARTS, channels, period, 4, 4))
    for start in range(0, source.frames, size):
        stop = min(start + size, source.frames) // period * period
        if stop <= start:
            break
        around = source.read(start - context, stop + context)
        inside = slice(context, context + stop - start)
        low = oaconvolve(around.astype(np.float64), taps, mode="same", axes=1)[:, inside]
        level = _level(around, rate)[:, inside]
        terms = np.stack([np.ones_like(low), level, low, around[:, inside]], axis=-1)
        # Loud music hides more: this weight was the best compromise between the offsets and the gains.
        terms /= np.sqrt(np.maximum(level, quiet))[..., None]
        terms = terms.reshape(channels, -1, period, 4)
        edges = np.linspace(0, _PARTS, terms.shape[1], endpoint=False)
        part = np.minimum((edges * (stop - start) + _PARTS * start) // source.frames, _PARTS - 1).astype(int)
        for index in np.unique(part):
            some = terms[:, part == index].transpose(0, 2, 3, 1)
            sums[index] += some @ some.swapaxes(-1, -2)
    weights = _solve(sums.sum(axis=0))
    constant, growing, gain = weights[..., 0], weights[..., 1], weights[..., 2]
    gain = gain / np.maximum(gain.mean(axis=1, keepdims=True), 1e-3)
    parts = _solve(sums)[..., 2]
    parts = parts / np.maximum(np.abs(parts.mean(axis=2, keepdims=True)), 1e-3)
    energy = sums[..., 2, 2].sum(axis=2)[..., None]
    share = energy / np.maximum(energy.sum(axis=0), 1e-30)
    scatter = (share * (parts - gain) ** 2).sum(axis=0).mean(axis=1) * (share**2).sum(axis=0)[:, 0]
    spread = gain.var(axis=1)
    believed = np.clip(1 - scatter / np.maximum(spread, 1e-30), 0, 1)
    believed[believed < _REPEATABLE] = 0
    gain = np.clip(1 + (gain - 1) * believed[:, None], 0.5, 2)
    # A constant over all classes is no comb.
    constant, growing = (o - o.mean(axis=1, keepdims=True) for o in (constant, growing))
    return constant.astype(np.float32), growing.astype(np.float32), gain.astype(np.float32)


def _solve(sums: Doubles) -> Doubles:
    """Weights of (1, level, surroundings) for the frame, from the sums of their products."""
    matrix, target = sums[..., :3, :3], sums[..., :3, 3]
    scale = np.sqrt(np.maximum(np.diagonal(matrix, axis1=-2, axis2=-1), 1e-30))
    matrix = matrix / (scale[..., :, None] * scale[..., None, :]) + 1e-9 * np.eye(3)
    solved: Doubles = np.linalg.solve(matrix, (target / scale)[..., None])[..., 0] / scale
    return solved


def _measure_foreign(source: AudioBuffer, comb: Comb) -> tuple[Audio, Audio, Audio]:
    """The lines as one waveform that comes round after `FOREIGN_S`: constant, and per unit of level."""
    rate, channels = source.sample_rate, source.channels
    size = FOREIGN_S * rate
    sums = {name: np.zeros((channels, size)) for name in ("1", "level", "x", "level x", "level level")}
    context = int(_LEVEL_S * rate) + 1
    for start in range(0, source.frames, _BLOCK):
        stop = min(start + _BLOCK, source.frames)
        around = source.read(start - context, stop + context)
        level = _level(around, rate)[:, context : context + stop - start]
        x = around[:, context : context + stop - start]
        for name, values in zip(sums, (np.ones_like(x), level, x, level * x, level * level), strict=True):
            fold(values, start, sums[name])
    one, level_sum, square = (sums[name].sum(axis=1)[:, None] for name in ("1", "level", "level level"))
    bins = np.round(np.array(comb.lines_hz) * FOREIGN_S).astype(int)
    plain, weighted = (np.fft.rfft(sums[name], axis=1)[:, bins] for name in ("x", "level x"))
    # Two equations per line, for its constant and its growing part.
    determinant = np.maximum(one * square - level_sum**2, 1e-12 * one * square + 1e-30)
    waves = []
    for spectrum in (plain * square - weighted * level_sum, weighted * one - plain * level_sum):
        full = np.zeros((channels, size // 2 + 1), np.complex128)
        full[:, bins] = spectrum / determinant * size
        waves.append(np.fft.irfft(full, size, axis=1).astype(np.float32))
    return waves[0], waves[1], np.ones((channels, 1), np.float32)

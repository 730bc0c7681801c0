"""Sub: reinforces the fundamental of a bass line where it is weak against its harmonics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, GRID_FRAMES, Audio, AudioBuffer
from engine.processors.gain_curve import from_db, hann
from engine.processors.level import PAUSE_DB, TINY, Curve
from engine.processors.processor import Processor
from engine.processors.stft import istft, stft

Floats = npt.NDArray[np.float32]

#: The work is done at about this rate, which holds a bass line's fundamental and its first harmonics.
_LOW_RATE_HZ = 1378.0
#: Frames of the transform, about 0.19 s at the low rate, a quarter apart.
_LENGTH = 256
_HOP = _LENGTH // 4
#: Half the length of the filters that change the rate, in frames of the low rate.
_HALF = 12
#: Fundamentals are looked for between these, and harmonics up to this.
_LOWEST_HZ, _HIGHEST_HZ, _HARMONICS_HZ = 30.0, 160.0, 400.0
#: How periodic a frame must be, as its autocorrelation at the period.
_PERIODIC = 0.5
#: Shortest period within this share of the best one's autocorrelation is the fundamental's.
_AS_GOOD = 0.85
#: Frames this far below the loudest are pauses.
_QUIET_DB = 30.0
#: Gains over frames are smoothed by a Hann window of this radius.
_SMOOTH_FRAMES = 3
_LEAST_DB = 0.1


@dataclass(frozen=True)
class Found:
    """Per frame of the transform, from `offset` frames before the beginning: fundamental and gain."""

    fundamental_hz: Curve
    gain_db: Curve
    offset: int


class Sub(Processor):
    """A bell on the fundamental that follows the line, zero-phase, linked over the channels.

    The fundamental is tracked by the autocorrelation of the low end. Where it is less than `target_db` above
    its harmonics up to 400 Hz it is raised, at most by `range_db`; where it is strong already nothing is
    done. Nothing is synthesised, so a line without any fundamental stays as it is; nor is what lies below the
    fundamental raised, so rumble stays down.
    """

    effect: ClassVar[str] = "sub"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.6

    target_db: float = Field(6.0, ge=-12, le=24, description="fundamental over its harmonics up to 400 Hz")
    strength: float = Field(0.5, ge=0, le=1, description="share of what is missing that is added")
    range_db: float = Field(3.0, ge=0, le=9, description="never raises the fundamental by more than this")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """Track the line; None for silence, where no tone is found, or where all are strong enough."""
        factor = _factor(source.sample_rate)
        low_rate = source.sample_rate / factor
        offset = self._context(source.sample_rate) // (factor * _HOP)
        count = -(-source.frames // (factor * _HOP)) + offset
        tone, over, level = (np.zeros(count, np.float32) for _ in range(3))
        for first, power in self._powers(source, factor):
            at = slice(first + offset, min(first + offset + len(power), count))
            for kept, found in zip((tone, over, level), _measure(power, low_rate), strict=True):
                kept[at] = found[: at.stop - at.start]
        loudest = float(level.max(initial=0.0))
        if loudest < TINY * 1e6:
            return None
        plays = (tone > 0) & (level > loudest * 10 ** (-_QUIET_DB / 10))
        missing = np.where(plays, np.float32(self.strength) * (np.float32(self.target_db) - over), 0)
        gain_db = hann(missing.clip(0, self.range_db).astype(np.float32), _SMOOTH_FRAMES)
        if float(gain_db.max(initial=0.0)) < _LEAST_DB:
            return None
        return Found(_held(tone, plays), gain_db, offset)

    def _context(self, sample_rate: int) -> int:
        return -(-int(self.context_s * sample_rate) // GRID_FRAMES) * GRID_FRAMES

    def _powers(self, source: AudioBuffer, factor: int) -> Iterator[tuple[int, Floats]]:
        """(index of the first frame, power summed over the channels, shape (frames, bins)) in order."""
        context = self._context(source.sample_rate)
        hop = factor * _HOP
        for start in range(-context, source.frames, BLOCK_FRAMES):
            block = source.read(start - context, start + BLOCK_FRAMES + context)
            spectrum = stft(_down(block, factor), _LENGTH, _HOP)[:, context // hop :][
                :, : BLOCK_FRAMES // hop
            ]
            yield start // hop, np.square(np.abs(spectrum)).sum(axis=0)

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block, and what the bell adds."""
        factor = _factor(sample_rate)
        spectrum = stft(_down(block, factor), _LENGTH, _HOP)
        first = start // (factor * _HOP) + found.offset
        index = np.arange(first, first + spectrum.shape[1])
        inside = (index >= 0) & (index < len(found.gain_db))
        index = index.clip(0, len(found.gain_db) - 1)
        gain_db = np.where(inside, found.gain_db[index], np.float32(0))
        if not gain_db.any():
            return block
        bins_hz = np.arange(_LENGTH // 2 + 1, dtype=np.float32) * np.float32(sample_rate / factor / _LENGTH)
        shape = _bell(bins_hz, found.fundamental_hz[index][:, None])
        spectrum *= shape * (from_db(gain_db) - 1)[:, None]
        low = istft(spectrum, _LENGTH, _HOP, -(-block.shape[1] // factor))
        return block + _up(low, factor)[:, : block.shape[1]]

    def describe(self, found: Found) -> dict[str, Any]:
        """The range of the fundamental, and how far it is raised for how long."""
        active = found.gain_db > 0.5
        tones = found.fundamental_hz[active]
        return {
            "fundamental_hz": [round(float(t), 1) for t in np.percentile(tones, (5, 95))]
            if tones.size
            else [],
            "max_gain_db": round(float(found.gain_db.max()), 2),
            "active_share": round(float(active.mean()), 4),
        }


def _factor(sample_rate: int) -> int:
    """By how much the rate is lowered: a power of two, so that frames lie on the grid."""
    return int(2 ** max(0, round(np.log2(sample_rate / _LOW_RATE_HZ))))


@lru_cache(maxsize=8)
def _taps(factor: int) -> Floats:
    """A low-pass of 2 * _HALF * factor + 1 taps, as rows of `factor`: shape (2 * _HALF + 1, factor)."""
    from scipy.signal import firwin

    taps = firwin(2 * _HALF * factor + 1, 0.6 / factor, window=("kaiser", 8.0))
    rows = np.pad(taps, (0, factor - 1)).reshape(-1, factor).astype(np.float32)
    rows.flags.writeable = False
    return rows


def _down(block: Audio, factor: int) -> Audio:
    """Every `factor`-th sample of the low end; sample m is at the time of sample m * factor.

    The filter is a product of matrices, which is ten times as fast as a filter that moves sample by sample.
    """
    if factor == 1:
        return block
    count = -(-block.shape[1] // factor)
    padded = np.pad(block, ((0, 0), (_HALF * factor, (count + _HALF + 1) * factor - block.shape[1])))
    products = padded.reshape(len(block), -1, factor) @ _taps(factor).T
    return np.asarray(sum(products[:, j : j + count, j] for j in range(2 * _HALF + 1)), np.float32)


def _up(low: Audio, factor: int) -> Audio:
    """The inverse of `_down` for the low end."""
    if factor == 1:
        return low
    padded = np.pad(low, ((0, 0), (_HALF, _HALF)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _HALF + 1, axis=1)
    high = windows @ (_taps(factor)[::-1] * np.float32(factor))
    return np.asarray(high.reshape(len(low), -1), np.float32)


def _measure(power: Floats, rate: float) -> tuple[Curve, Curve, Curve]:
    """Per frame: the fundamental in Hz (0 for none), its level over the harmonics in dB, and the power."""
    from scipy.fft import irfft

    bins_hz = np.arange(power.shape[1], dtype=np.float32) * np.float32(rate / _LENGTH)
    band = (bins_hz >= 0.8 * _LOWEST_HZ) & (bins_hz <= _HARMONICS_HZ)
    total = power[:, band].sum(axis=1)
    # Compressed by a root, so that the loudest partial does not decide alone; four times finer in time.
    correlation = irfft(np.sqrt(power * band), 4 * _LENGTH, axis=1)
    lags = np.arange(int(4 * rate / _HIGHEST_HZ), int(4 * rate / _LOWEST_HZ) + 1)
    lags = lags[lags < 2 * _LENGTH]
    at = correlation[:, lags]
    best = at.max(axis=1)
    rising = np.diff(at, axis=1, prepend=-np.inf) >= 0
    falling = np.diff(at, axis=1, append=-np.inf) <= 0
    # The first peak as good as the best: multiples of a period are as periodic as the period itself.
    peak = np.argmax(rising & falling & (at >= _AS_GOOD * best[:, None]), axis=1)
    periodic = best > _PERIODIC * np.maximum(correlation[:, 0], np.float32(TINY))
    tone = np.where(periodic & (total > TINY * 10 ** (PAUSE_DB / 10)), 4 * rate / lags[peak], 0)
    shape = _bell(bins_hz, np.maximum(tone, _LOWEST_HZ).astype(np.float32)[:, None])
    own = (power * shape).sum(axis=1)
    rest = np.maximum(total - (power * shape * band).sum(axis=1), 0)
    over = 10 * np.log10((own + np.float32(TINY)) / (rest + np.float32(TINY)))
    return tone.astype(np.float32), over.astype(np.float32), total.astype(np.float32)


def _bell(bins_hz: Curve, tone_hz: Curve) -> Floats:
    """1 within a fourth of the tone, falling to 0 at an octave below and seven tenths of one above."""
    octaves = np.log2(np.maximum(bins_hz, np.float32(1)) / np.maximum(tone_hz, np.float32(1)))
    ramp = np.where(octaves < 0, (octaves + 1) / 0.6, (0.7 - octaves) / 0.35).clip(0, 1)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * ramp), np.float32)


def _held(tone: Curve, plays: npt.NDArray[np.bool_]) -> Curve:
    """The tone, kept where none plays, and single frames off the line taken out."""
    from scipy.ndimage import median_filter

    last = np.maximum.accumulate(np.where(plays, np.arange(len(tone)), -1))
    first = int(np.argmax(plays)) if plays.any() else 0
    filled = tone[np.where(last >= 0, last, first)]
    return np.asarray(median_filter(filled, 3, mode="nearest"), np.float32)

"""Deshimmer: takes out narrow tones that flicker up for a moment in steady sound, from 4 to 12 kHz.

What is looked for are islands: peaks of the short-time spectrum that stand over their neighbours in
frequency, over everything near that frequency both before and after, and over the mean power around. Plucked
notes have islands too, but fewer, and all at once. So a recording is repaired only if islands are many and
spread evenly over its sustained parts. The ripples of noise look like shimmer at any moment, but never stand
out of all that surrounds them; and tones that a coder leaves where it dropped the rest are no louder than
they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import istft, mean_power, stft, window_length
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_BAND_HZ = (4000.0, 12_000.0)
#: Before and after an island this many frames (of a quarter window) are looked at, but for the nearest,
#: which share its window; and so many bins on either side.
_NEAREST, _FARTHEST, _REACH_BINS = 4, 10, 6
#: An island stands this far over what is before and after, and this far over the mean power around. Of the
#: peaks of noise with two channels 0.00 % do.
_ISLAND_DB, _LOUDER_DB = 9.0, 12.0
#: Frames and bins that the mean power is taken over.
_AROUND = (61, 15)
#: From the top down, what stands over its surroundings by more than this is part of it.
_SHORE_DB = 3.0
_NEIGHBOURS = 15
#: In sustained sound the band's level deviates by less than this over `_HELD_FRAMES`.
_STEADY_DB, _HELD_FRAMES = 3.0, 9
#: Bins this far below the band's mean are silent, and frames this far below it pauses.
_FLOOR_DB, _PAUSE_DB = 70.0, 30.0
#: Islands per second of sustained sound from which it is shimmer, if not more than this share of them falls
#: into a tenth of the frames. Undamaged mixes had up to 23 and one 42, stems 28, real recordings through six
#: neural codecs no more than before (1 to 16).
_FEWEST_PER_S, _MOST_TOGETHER = 50.0, 0.45
_SHORTEST_S = 1.0
_STRETCH_FRAMES = 1 << 17
_MARGIN_FRAMES = _AROUND[0] // 2 + _HELD_FRAMES


@dataclass
class _Found:
    """What the detector saw."""

    #: Mean power per bin of the band.
    mean: float
    per_second: float
    end_s: float


class Deshimmer(Repair):
    """Islands are lowered to what surrounds them, by up to `floor_db`; all channels by the same gain."""

    effect: ClassVar[str] = "deshimmer"
    artifact: ClassVar[str] = "shimmer"
    linear: ClassVar[bool] = False
    #: The frames that decide about one, at the rate where they are longest.
    context_s: ClassVar[float] = 0.75

    floor_db: float = Field(-18.0, ge=-40.0, le=0.0, description="lowest gain that a bin may get, in dB")

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Count islands in sustained sound; None where there are few, or where they come together."""
        length = window_length(source.sample_rate)
        band = _band(source.sample_rate, length)
        if band.stop - band.start < 2 * _NEIGHBOURS:
            return None
        mean = mean_power(source, length, band)
        if mean <= 0.0:
            return None
        parts = [np.zeros(0, np.uint16)]
        for power in _stretches(source, length, band):
            level = _level_db(power, mean)
            top = _islands(level, power, mean)[0]
            kept = slice(_MARGIN_FRAMES, len(level) - _MARGIN_FRAMES)
            parts.append(top.sum(axis=1, dtype=np.uint16)[kept][_held(power, mean)[kept]])
        counts = np.concatenate(parts)
        seconds = len(counts) * (length // 4) / source.sample_rate
        if seconds < _SHORTEST_S:
            return None
        # Over three frames: an island's top may fall into any of them.
        near = np.sort(np.convolve(counts, np.ones(3), "same"))[::-1]
        per_second = float(counts.sum()) / seconds
        together = float(near[: len(near) // 10].sum() / max(near.sum(), 1.0))
        if per_second < _FEWEST_PER_S or together > _MOST_TOGETHER:
            return None
        return _Found(mean, per_second, source.frames / source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Lower the islands of the block; what is not an island keeps its bits."""
        length = window_length(sample_rate)
        hop, band = length // 4, _band(sample_rate, length)
        spectrum = stft(block, length, hop)[:, :, band]
        power = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)
        gain = self._gain(power, found.mean)
        if gain is None:
            return block
        # Only the change goes through the inverse transform.
        change = np.zeros((len(block), len(power), length // 2 + 1), np.complex64)
        change[:, :, band] = spectrum * (gain - 1)
        return block + istft(change, length, hop, block.shape[1])

    def _gain(self, power: Floats, mean: float) -> Floats | None:
        if len(power) <= 2 * _FARTHEST:
            return None
        level = _level_db(power, mean)
        top, over = _islands(level, power, mean)
        top &= _held(power, mean)[:, None]
        if not top.any():
            return None
        island = _near(top) & (over > _SHORE_DB)
        lowered = np.where(island, np.maximum(_SHORE_DB - over, self.floor_db), 0.0)
        return np.asarray(10 ** (lowered / 20), np.float32)

    def describe(self, found: _Found) -> dict[str, Any]:
        """How many flickering tones there are."""
        low, high = _BAND_HZ
        return self.damage_report(
            f"{found.per_second:.0f} narrow tones a second flicker up in steady sound, from 4 to 12 kHz",
            f"lowered to what surrounds them, by up to {-self.floor_db:.0f} dB",
            [Place(start_s=0.0, end_s=found.end_s, low_hz=low, high_hz=high)],
            flickering_tones_per_s=found.per_second,
        )


def _band(sample_rate: int, length: int) -> slice:
    low, high = (int(hz * length / sample_rate) for hz in (_BAND_HZ[0], min(_BAND_HZ[1], 0.45 * sample_rate)))
    return slice(low, max(high, low))


def _stretches(source: AudioBuffer, length: int, band: slice) -> Iterator[Floats]:
    """Power over all channels, shape (frames, bins), with `_MARGIN_FRAMES` more frames on both sides."""
    hop = length // 4
    margin = _MARGIN_FRAMES * hop
    for start in range(0, source.frames, _STRETCH_FRAMES):
        stop = min(start + _STRETCH_FRAMES, source.frames)
        spectrum = stft(source.read(start - margin, stop + margin + length - hop), length, hop)[:, :, band]
        yield (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)


def _level_db(power: Floats, mean: float) -> Floats:
    return np.asarray(10 * np.log10(power + np.float32(mean * 10 ** (-_FLOOR_DB / 10))), np.float32)


def _held(power: Floats, mean: float) -> Mask:
    """Frames in which the band's level holds, shape (frames,)."""
    from scipy.ndimage import uniform_filter1d

    level = 10 * np.log10(power.mean(axis=1, dtype=np.float64) + 1e-30 + mean * 1e-9)
    spread = uniform_filter1d(level**2, _HELD_FRAMES) - uniform_filter1d(level, _HELD_FRAMES) ** 2
    return np.asarray((spread < _STEADY_DB**2) & (level > 10 * np.log10(mean) - _PAUSE_DB))


def _islands(level: Floats, power: Floats, mean: float) -> tuple[Mask, Floats]:
    """The tops of islands, and how far every bin stands over its surroundings in dB; shape (frames, bins)."""
    from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter

    around = maximum_filter1d(level, 2 * _REACH_BINS + 1, axis=1)
    before, after = (np.full_like(level, np.inf) for _ in range(2))
    for frames in range(_NEAREST, min(_FARTHEST, len(level) - 1) + 1):
        before[frames:] = np.minimum(before[frames:], around[:-frames])
        after[:-frames] = np.minimum(after[:-frames], around[frames:])
    over = np.minimum(level - np.maximum(before, after), level - median_filter(level, (1, _NEIGHBOURS)))
    top = over > _ISLAND_DB
    top &= power > uniform_filter(power, _AROUND) * np.float32(10 ** (_LOUDER_DB / 10)) + np.float32(
        mean * 1e-9
    )
    top &= level >= maximum_filter1d(level, 5, axis=1)
    top &= level >= maximum_filter1d(level, 9, axis=0)
    # Near the edges of the band the neighbours are missing.
    top[:, :8] = top[:, -8:] = False
    return top, over


def _near(top: Mask) -> Mask:
    """What lies within the reach of a window's main lobe and an island's length around a top."""
    from scipy.ndimage import maximum_filter

    wide: Mask = maximum_filter(top, (2 * _FARTHEST - 3, 5))
    return wide

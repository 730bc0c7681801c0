"""FillHoles: fills gaps that a coder left in the spectrum, a few frames long, from what is on both sides.

The level of a hole is interpolated in time between the frames around it; its fine structure is that of the
frames before, turned on at the rate of each bin. The phases of what was lost can't be known: what comes back
is the colour of the sound, not its waveform.

Music has gaps too, between two drum strokes for one. A hole that a coder left is cut on all four sides: its
level falls and rises within a window, and what is just below and just above it in frequency goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import istft, mean_power, stft, window_length
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

#: A hole lies this far below what is before and after it, and its sides this far below the mean at most.
_DEPTH_DB, _QUIET_DB = 26.0, 55.0
#: Longest hole in frames of a quarter window, and narrowest in bins.
_LONGEST, _NARROWEST_BINS = 14, 8
#: Frames next to a hole whose windows reach into it.
_EDGE = 2
#: A hole's level drops by this much within a window at its beginning, and rises so at its end; and the bins
#: next to it on both sides stand this far over it.
_CUT_DB, _FRAME_DB, _BESIDE_BINS = 18.0, 12.0, 6
#: Where there are such holes, this much is enough for another one.
_ALSO_CUT_DB, _ALSO_FRAME_DB = 14.0, 3.0
#: Fewer holes than this in a minute are chance or breath: undamaged recordings had 0 to 115.
_FEWEST_PER_MINUTE = 125.0
_BATCH_FRAMES = 1 << 17


@dataclass
class _Found:
    """Where holes are, and the mean power per bin."""

    mean: float
    places: list[Place]


class FillHoles(Repair):
    """Holes in the spectrum are filled from both sides; every other bin stays as it is."""

    effect: ClassVar[str] = "fill_holes"
    artifact: ClassVar[str] = "spectral holes"
    linear: ClassVar[bool] = False
    #: The longest hole with its sides, at the rate where frames are longest.
    context_s: ClassVar[float] = 0.75

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Count the holes; None where there are few."""
        length = window_length(source.sample_rate)
        hop, hz = length // 4, source.sample_rate / length
        mean = mean_power(source, length)
        if mean <= 0.0:
            return None
        places: list[Place] = []
        for first, power in _stretches(source, length):
            for frames, bins in _holes(power, mean, _CUT_DB, _FRAME_DB):
                if not _MARGIN <= frames.start < len(power) - _MARGIN:
                    continue
                places.append(
                    Place(
                        start_s=max((first + frames.start - _MARGIN + 1.5) * hop / source.sample_rate, 0.0),
                        end_s=(first + frames.stop - _MARGIN + 2.5) * hop / source.sample_rate,
                        low_hz=bins.start * hz,
                        high_hz=bins.stop * hz,
                    )
                )
        minutes = source.frames / source.sample_rate / 60
        if len(places) < max(_FEWEST_PER_MINUTE * minutes, 4):
            return None
        return _Found(mean, places)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Add what the holes lack to the block."""
        length = window_length(sample_rate)
        spectrum = stft(block, length, length // 4)
        if spectrum.shape[1] <= 2 * _MARGIN:
            return block
        power = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)
        holes = _holes(power, found.mean, _ALSO_CUT_DB, _ALSO_FRAME_DB)
        if not holes:
            return block
        added = _filling(spectrum, holes)
        return block + istft(added, length, length // 4, block.shape[1])

    def describe(self, found: _Found) -> dict[str, Any]:
        """How many holes and where."""
        return self.damage_report(
            f"{len(found.places)} holes in the spectrum, some hundredths of a second long",
            "filled with the level of what is before and after",
            found.places,
            holes=float(len(found.places)),
        )


#: Frames that decide about a hole, on either side.
_MARGIN = 2 * (_LONGEST + _EDGE) + 8


def _stretches(source: AudioBuffer, length: int) -> Iterator[tuple[int, Floats]]:
    """First frame and power over all channels, shape (frames, bins), with `_MARGIN` frames on both sides."""
    hop = length // 4
    for start in range(0, source.frames, _BATCH_FRAMES):
        stop = min(start + _BATCH_FRAMES, source.frames)
        spectrum = stft(source.read(start - _MARGIN * hop, stop + _MARGIN * hop + length - hop), length, hop)
        yield start // hop, (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)


def _holes(power: Floats, mean: float, cut_db: float, frame_db: float) -> list[tuple[slice, slice]]:
    """Frames and bins of every hole in `power`, shape (frames, bins)."""
    from scipy.ndimage import binary_opening, find_objects, label, maximum_filter1d, uniform_filter1d

    # Zeros between partials are no holes.
    level = 10 * np.log10(uniform_filter1d(power, 5, axis=1) + np.float32(mean * 1e-9))
    reach = _LONGEST + _EDGE
    before = np.full_like(level, -np.inf)
    after = np.full_like(level, -np.inf)
    near = maximum_filter1d(level, 3, axis=0)
    for frames in (_EDGE + 1, _EDGE + reach // 4, _EDGE + reach // 2, reach):
        before[frames:] = np.maximum(before[frames:], near[:-frames])
        after[:-frames] = np.maximum(after[:-frames], near[frames:])
    sides = np.minimum(before, after)
    deep = (level < sides - _DEPTH_DB) & (sides > 10 * np.log10(mean) - _QUIET_DB)
    objects = find_objects(label(binary_opening(deep, np.ones((1, _NARROWEST_BINS), bool)))[0])
    return [place for place in objects if _is_cut(level, place[0], place[1], cut_db, frame_db)]


def _is_cut(level: Floats, frames: slice, bins: slice, cut_db: float, frame_db: float) -> bool:
    """Whether a hole in `level` is cut on all four sides and short enough."""
    low, high = frames.start - _EDGE - 1, frames.stop + _EDGE
    first, last = bins.start - _BESIDE_BINS, bins.stop + _BESIDE_BINS
    inside = low >= 0 and high < len(level) and first >= 0 and last <= level.shape[1]
    if not inside or frames.stop - frames.start > _LONGEST:
        return False
    inner = level[frames, bins]
    depth = inner.min(axis=0)
    fall = level[low, bins] - np.minimum(inner[0], inner[min(1, len(inner) - 1)])
    rise = level[high, bins] - np.minimum(inner[-1], inner[max(-2, -len(inner))])
    if min(np.median(fall), np.median(rise)) < cut_db:
        return False
    middle = level[(frames.start + frames.stop) // 2]
    below, above = middle[first : first + 3].mean(), middle[last - 3 : last].mean()
    return bool(min(below, above) > np.median(depth) + frame_db)


def _filling(spectrum: Spectrum, holes: list[tuple[slice, slice]]) -> Spectrum:
    """What to add to `spectrum` so that its holes have the level of their sides."""
    added = np.zeros_like(spectrum)
    for frames, bins in holes:
        low, high = frames.start - _EDGE, frames.stop + _EDGE
        if low < 2 or high > spectrum.shape[1] - 2:
            continue
        count = high - low
        left, right = spectrum[:, low - 1, bins], spectrum[:, high, bins]
        turn_left = left * spectrum[:, low - 2, bins].conj()
        turn_right = spectrum[:, high + 1, bins] * right.conj()
        for frame in range(low, high):
            share = np.float32((frame - low + 1) / (count + 1))
            magnitude = np.abs(left) ** (1 - share) * np.abs(right) ** share
            one, steps, turn = (
                (left, frame - low + 1, turn_left) if share < 0.5 else (right, frame - high, turn_right)
            )
            phase = np.angle(one) + steps * np.angle(turn)
            missing = magnitude - np.abs(spectrum[:, frame, bins])
            wanted = (missing > 0.5 * magnitude) if not low + _EDGE <= frame < high - _EDGE else missing > 0
            whole = magnitude * np.exp(1j * phase)
            added[:, frame, bins] = np.where(wanted, whole - spectrum[:, frame, bins], added[:, frame, bins])
    return added

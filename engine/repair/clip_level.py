"""Clip level: finds the levels at which a recording was cut off, whatever its loudness, per channel and sign.

A recording is looked at in short windows. Where it was clipped, a window's highest samples form flat tops
with corners, and the highest levels of many windows are the same number: a wall with nothing above it. A low
tone's round tops have no corners, steps of coarse quantisation and the edges of square waves are known apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

WINDOW_S = 0.05
#: Samples this close to a window's highest one (relative) are on its top.
_FLAT = 2e-4
#: Samples this close to a clip level (relative) were clipped.
CLOSE = 5e-4
#: A flat top has so many samples at least, and falls by this much (relative) next to its ends.
_MIN_RUN, _CORNER = 3, 20 * _FLAT
#: Edges as steep as this, relative to the level, are those of a square wave.
_STEEP = 0.6
#: A sign's tops fill no more of a window than this, or it is a square wave.
_MAX_SHARE = 0.35
#: Audio whose smallest step is more than this share of its level is too coarse to judge.
_COARSE = 1e-3
#: A clip level is shared by so many windows, and by this many times those just above it.
_MIN_WINDOWS, _WALL, _ABOVE = 4, 2.0, 1.05


@dataclass(frozen=True)
class Levels:
    """Clip levels (positive numbers) per channel for the positive (0) and the negative (1) half wave."""

    of: tuple[tuple[Doubles, Doubles], ...]
    #: First frames of the windows in which flat tops were seen.
    windows: npt.NDArray[np.int64]
    #: Samples in these flat tops, over all channels.
    samples: int

    def clipped(self, block: Audio, start: int, sample_rate: int) -> tuple[Flags, Audio]:
        """Which samples of `block` were clipped, and at what level (signed; 0 elsewhere).

        `block`, shape (channels, n), begins at frame `start` of the recording.
        """
        flags = np.zeros(block.shape, bool)
        bound = np.zeros_like(block)
        window = window_frames(sample_rate)
        ahead = start % window
        padded = np.pad(block, ((0, 0), (ahead, -(ahead + block.shape[1]) % window)))
        for channel, both in enumerate(self.of):
            for sign, levels in zip((1, -1), both, strict=True):
                if not levels.size:
                    continue
                windows = (sign * padded[channel]).reshape(-1, window)
                top = windows.max(axis=1)
                nearest = levels[np.abs(levels[None] - top[:, None]).argmin(axis=1)]
                hit = (np.abs(top - nearest) <= CLOSE * nearest)[:, None] & (
                    windows >= (nearest * (1 - CLOSE))[:, None]
                )
                hit &= hit.mean(axis=1, keepdims=True) <= _MAX_SHARE
                flat = hit.ravel()[ahead : ahead + block.shape[1]]
                flags[channel] |= flat
                level = np.repeat(nearest, window)[ahead : ahead + block.shape[1]]
                bound[channel, flat] = sign * level[flat]
        return flags, bound


def window_frames(sample_rate: int) -> int:
    """Length of a window in frames."""
    return max(int(WINDOW_S * sample_rate), 16)


def find_clip_levels(source: AudioBuffer) -> Levels | None:
    """The levels at which `source` was clipped, or None. One pass, bounded memory."""
    window = window_frames(source.sample_rate)
    step = window * max((1 << 18) // window, 1)
    tops: list[Audio] = []
    flats: list[npt.NDArray[np.int32]] = []
    for start in range(0, source.frames, step):
        stop = min(start + step, -(-source.frames // window) * window)
        top, flat = _windows(source.read(start, stop), window, source.sample_rate)
        tops.append(top)
        flats.append(flat)
    top = np.concatenate(tops, axis=-1)
    flat = np.concatenate(flats, axis=-1)
    signs = [(channel, sign) for channel in range(source.channels) for sign in range(2)]
    # What channels and signs share is seen when they are taken together, and the rest one by one.
    shared = _walls(top.ravel().astype(np.float64), flat.ravel())
    levels = {}
    seen = np.zeros(top.shape[-1], bool)
    samples = 0
    for place in signs:
        own = np.union1d(shared, _walls(top[place].astype(np.float64), flat[place]))
        near = np.abs(top[place][:, None] / np.maximum(own, 1e-30)[None] - 1) <= CLOSE
        near &= (flat[place] > 0)[:, None]
        levels[place] = own[near.any(axis=0)]
        seen |= near.any(axis=1)
        samples += int(flat[place][near.any(axis=1)].sum())
    if not seen.any():
        return None
    of = tuple((levels[channel, 0], levels[channel, 1]) for channel in range(source.channels))
    return Levels(of, np.flatnonzero(seen) * window, samples)


def _windows(block: Audio, window: int, sample_rate: int) -> tuple[Audio, npt.NDArray[np.int32]]:
    """Highest sample and the number of samples in flat tops, each (channels, 2 signs, windows)."""
    channels, count = block.shape[0], block.shape[1] // window
    lag = max(round(2 * sample_rate / 44_100), 2)
    top = np.zeros((channels, 2, count), np.float32)
    flat = np.zeros((channels, 2, count), np.int32)
    for channel in range(channels):
        steps = np.abs(np.diff(block[channel], append=block[channel, -1:]))
        steps[steps == 0] = np.inf
        finest = steps.reshape(count, window).min(axis=1)
        for index, sign in enumerate((1, -1)):
            x = sign * block[channel]
            highest = x.reshape(count, window).max(axis=1)
            top[channel, index] = np.maximum(highest, 0)
            on_top = x >= np.repeat(np.where(highest > 0, highest * (1 - _FLAT), np.inf), window)
            edges = np.flatnonzero(np.diff(on_top, prepend=False, append=False))
            first, last = edges[::2], edges[1::2] - 1
            run = last - first + 1
            inside = (run >= _MIN_RUN) & (first >= lag) & (last < x.size - lag)
            first, last, run = first[inside], last[inside], run[inside]
            level = x[first]
            corner = np.minimum(level - x[first - lag], level - x[last + lag]) > _CORNER * level
            edge = np.minimum(level - x[first - 1], level - x[last + 1])
            good = corner & (edge < _STEEP * level) & (finest[first // window] < _COARSE * level)
            flat[channel, index] = np.bincount(first[good] // window, run[good], count)
            share = on_top.reshape(count, window).mean(axis=1)
            flat[channel, index][share > _MAX_SHARE] = 0
    return top, flat


def _walls(top: Doubles, flat: npt.NDArray[np.int32]) -> Doubles:
    """Levels that the flat windows among `top` share."""
    order = np.sort(top[top > 0])
    candidates = np.sort(top[(flat > 0) & (top > 0)])
    found: list[float] = []
    while candidates.size >= _MIN_WINDOWS:
        upper = np.searchsorted(candidates, candidates * (1 + CLOSE), "right")
        members = upper - np.arange(candidates.size)
        begin = int(members.argmax())
        count = int(members[begin])
        if count < _MIN_WINDOWS:
            break
        group = candidates[begin : begin + count]
        level = float(np.median(group))
        above = np.searchsorted(order, level * _ABOVE) - np.searchsorted(order, level * (1 + 2 * CLOSE))
        if count >= _WALL * above:
            found.append(level)
        candidates = np.concatenate([candidates[:begin], candidates[begin + count :]])
    return np.array(sorted(found))

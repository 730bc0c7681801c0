"""Click detector: finds samples that neither their past nor their future foretell, and that stand alone.

A drum, a plucked string or a voice's pulse is not foretold either. A click differs in four ways: it is over
in a millisecond, the sound is the same before and after it, nothing like it comes again within a twentieth
of a second, and with it taken out the sound runs on as foretold. A recording without a few clicks that pass
all this by a wide margin has none; in one that has them, weaker ones are believed too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.repair.prediction import Doubles, Flags, interpolate, prediction_error

#: Order of the linear prediction.
ORDER = 32
#: Samples at 44.1 kHz: a click with its margins, the longest click, what is interpolated from on either side.
_LEAD, _TAIL, _LONGEST, REACH = 3, 5, 64, 1000
#: Samples at 44.1 kHz that a click is compared with: next to it, before and after it, and far around it.
_NEXT, _GAP, _SIDE, _AROUND = 180, 10, 220, 2646
#: Samples at 44.1 kHz over which the usual error is the median (in parts), and hits that are one click.
_PART, _PARTS, _JOIN = 128, 9, 9
#: A click's error is so many times the usual one.
_HIT = 5.0
#: Errors this much below the recording's RMS are not heard.
_FLOOR = 10 ** (-65 / 20)
#: With so many certain clicks per recording, likely ones are clicks as well.
_MIN_CERTAIN = 3


@dataclass(frozen=True)
class Limits:
    """What a click must pass."""

    #: Its prediction error over the usual one, and over the errors next to it.
    score: float
    contrast: float
    #: ... over the twelfth highest and over the fourth highest within 60 ms.
    alone: float
    lone: float
    #: Largest ratio of the sound's error after and before the click, either way.
    change: float
    #: Largest error left once it is taken out, over the usual one.
    left: float


CERTAIN = Limits(score=15.0, contrast=6.0, alone=3.0, lone=3.0, change=1.6, left=2.0)
#: One of these is enough.
GLARING = Limits(score=40.0, contrast=15.0, alone=6.0, lone=6.0, change=1.6, left=2.0)
LIKELY = Limits(score=7.5, contrast=2.3, alone=1.3, lone=0.0, change=2.0, left=2.5)


@dataclass(frozen=True)
class Clicks:
    """Every click's channel, first frame and frame after its last."""

    channel: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    #: Its height over the recording's RMS, in dB.
    height_db: Doubles


def find_clicks(source: AudioBuffer) -> Clicks | None:
    """The clicks of `source`, or None. Two passes, bounded memory."""
    rms = _rms(source)
    if rms == 0.0:
        return None
    scale = source.sample_rate / 44_100
    hop = max(1 << round(np.log2(1024 * scale)), 128)
    size = hop * max((1 << 18) // hop, 1)
    context = hop * (-(-round(_AROUND * scale) // hop) + 2)
    rows: list[Doubles] = []
    for start in range(0, source.frames, size):
        block = source.read(start - context, min(start + size, source.frames) + context).astype(np.float64)
        for channel in range(source.channels):
            found = _candidates(block[channel], hop, scale, rms * _FLOOR)
            inside = (found[:, 0] >= context) & (found[:, 0] < block.shape[1] - context)
            found[:, :2] += start - context
            rows.append(np.insert(found[inside], 0, channel, axis=1))
    every = np.concatenate(rows)
    certain, glaring = _pass(every, CERTAIN), _pass(every, GLARING)
    if certain.sum() < _MIN_CERTAIN and not glaring.any():
        return None
    # Taking them out costs more than all that came before.
    left = _without(source, every[:, :3].astype(np.int64), scale)
    certain &= left[:, 0] <= CERTAIN.left
    glaring &= left[:, 0] <= GLARING.left
    kept = glaring
    if certain.sum() >= _MIN_CERTAIN:
        kept = _pass(every, LIKELY) & (left[:, 0] <= LIKELY.left)
    kept &= left[:, 1] > rms * _FLOOR
    if not kept.any():
        return None
    places = every[kept, :3].astype(np.int64)
    return Clicks(places[:, 0], places[:, 1], places[:, 2], 20 * np.log10(left[kept, 1] / rms))


def _rms(source: AudioBuffer) -> float:
    total = sum(float(np.square(block, dtype=np.float64).sum()) for _, block in source.blocks())
    return float(np.sqrt(total / max(source.frames * source.channels, 1)))


def _pass(rows: Doubles, limits: Limits) -> Flags:
    score, contrast, alone, lone, change = rows[:, 3:].T
    passed: Flags = (score >= limits.score) & (contrast >= limits.contrast) & (change <= limits.change)
    passed &= (alone >= limits.alone) & (lone >= limits.lone)
    return passed


def _without(source: AudioBuffer, places: npt.NDArray[np.int64], scale: float) -> Doubles:
    """For clicks (channel, start, stop) filled in: the error left over the usual one, and the height."""
    reach = round(REACH * scale)
    result = np.zeros((len(places), 2))
    for row, (channel, start, stop) in enumerate(places.tolist()):
        x = source.read(start - reach, stop + reach)[channel].astype(np.float64)
        bad = np.zeros(x.size, bool)
        bad[reach : x.size - reach] = True
        filled, error = interpolate(x, bad, ORDER)
        error = np.abs(error)
        first, last = reach, x.size - reach + ORDER
        near = min(400, reach - ORDER)
        others = np.concatenate([error[first - near : first], error[last : last + near]])
        result[row] = float(error[first:last].max()) / _high(others, 0.02), np.abs(filled - x).max()
    return result


def _candidates(x: Doubles, hop: int, scale: float, floor: float) -> Doubles:
    """Rows of start, stop, score, contrast, alone, lone and change for what may be a click in `x`."""
    error = prediction_error(x, ORDER, hop)
    usual = _usual(error, max(hop * _PART // 1024, 16)) + floor / _HIT
    hit = np.flatnonzero(error > _HIT * usual)
    none = np.zeros((0, 7))
    if not hit.size:
        return none
    split = np.flatnonzero(np.diff(hit) > round(_JOIN * scale))
    first, last = hit[np.append(0, split + 1)], hit[np.append(split, hit.size - 1)]
    lead, tail, gap, next_to, side, around = (
        max(round(n * scale), 2) for n in (_LEAD, _TAIL, _GAP, _NEXT, _SIDE, _AROUND)
    )
    rows = []
    for a, b in zip(first.tolist(), last.tolist(), strict=True):
        start, stop = a - lead, b + 1 + tail
        if b - a > _LONGEST * scale or start < around or stop > x.size - around:
            continue
        top = float(error[a : b + 1].max())
        score = top / float(usual[a])
        if score < LIKELY.score:
            continue
        beside = np.concatenate([error[start - next_to : start], error[stop : stop + next_to]])
        contrast = top / _high(beside, 0.02)
        if contrast < LIKELY.contrast:
            continue
        wide = np.concatenate([error[start - around : start - gap], error[stop + gap : stop + around]])
        alone, lone = (top / _high(wide, max(n * scale, 1.5) / wide.size) for n in (12, 4))
        if alone < LIKELY.alone:
            continue
        change = _level(error[stop + gap : stop + side]) / _level(error[start - side : start - gap])
        change = max(change, 1 / change)
        if change > LIKELY.change:
            continue
        rows.append((start, stop, score, contrast, alone, lone, change))
    return np.array(rows) if rows else none


def _usual(error: Doubles, part: int) -> Doubles:
    """A robust standard deviation of the error around every sample."""
    count = -(-error.size // part)
    parts = np.pad(error, (0, count * part - error.size)).reshape(count, part)
    padded = np.pad(parts, ((_PARTS // 2, _PARTS // 2), (0, 0)), mode="edge")
    view = np.lib.stride_tricks.sliding_window_view(padded, _PARTS, axis=0)
    median = np.median(view.reshape(count, -1), axis=1)
    repeated: Doubles = np.repeat(1.4826 * median, part)[: error.size]
    return repeated


def _high(values: Doubles, share: float) -> float:
    """The value that only `share` of `values` exceed."""
    index = max(int(values.size * share), 1)
    return float(np.partition(values, -index)[-index]) + 1e-30


def _level(values: Doubles) -> float:
    """RMS with the highest twentieth held down."""
    return float(np.sqrt(np.mean(np.square(np.minimum(values, _high(values, 0.05)))))) + 1e-30

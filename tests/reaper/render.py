"""What a project sounds like: every track, folder, item, fade, section and loop, as float64."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
from model import Item, Project, Source, Track

Audio = np.ndarray[Any, np.dtype[np.float64]]
#: Of a frame: edges that differ by rounding only are the same edge.
_EPS = 1e-6


@lru_cache(maxsize=32)
def _padded(path: str) -> Audio:
    """All of a file, with one frame of nothing before and two behind."""
    return np.pad(soundfile.read(path, always_2d=True, dtype="float64")[0], ((1, 2), (0, 0)))


def _between(padded: Audio, at: Audio) -> Audio:
    """Samples at fractional frames `at`, by straight lines; 0 outside."""
    at = np.clip(at, -1.0, len(padded) - 3) + 1
    whole = np.floor(at).astype(int)
    part = (at - whole)[:, None]
    return padded[whole] * (1 - part) + padded[whole + 1] * part


def _source_at(source: Source, at: Audio) -> Audio:
    """The source at frames `at` of its own time."""
    if source.parent is None:
        return _between(_padded(source.path), at)
    frames = source.length * source.rate
    inside = (at > -_EPS) & (at < frames - 0.5)
    first = source.offset * source.rate
    inner = first + frames - 1 - at if source.reversed else first + at
    return _source_at(source.parent, inner) * inside[:, None]


def channels(audio: Audio, mode: int) -> Audio:
    if audio.shape[1] == 1:
        return np.repeat(audio, 2, axis=1)
    left, right = audio[:, :1], audio[:, 1:2]
    both = {1: (right, left), 2: ((left + right) / 2,) * 2, 3: (left, left), 4: (right, right)}
    return np.hstack(both[mode]) if mode in both else audio


def _fade(x: Audio, shape: float, direction: float) -> Audio:
    return np.clip(x, 0, 1) ** (1 + 0.3 * shape + 0.2 * direction)


def take_sound(item: Item, heard: Audio) -> Audio:
    """What the item's take plays at seconds `heard` of the item, before its channel mode, gains and fades."""
    take = item.take
    assert take
    assert take.source
    t, source = take.info, take.source
    if take.stretch_markers:
        places, seconds = np.array(take.stretch_markers).T
        at = np.interp(heard, places, seconds)
        at += np.where(heard < places[0], heard - places[0], 0.0) * t["D_PLAYRATE"]
        at += np.where(heard > places[-1], heard - places[-1], 0.0) * t["D_PLAYRATE"]
        at *= source.rate
    else:
        at = (t["D_STARTOFFS"] + heard * t["D_PLAYRATE"]) * source.rate
    # Stand-ins for what a stretcher does: settings that are not copied are heard.
    at += t["D_PITCH"] * 3 + (t["B_PPITCH"] * 7 if t["D_PLAYRATE"] != 1 else 0)
    if item.info["B_LOOPSRC"]:
        frames = source.length * source.rate
        at = (at + _EPS) % frames - _EPS
    return _source_at(source, at)


def _item(item: Item, rate: int, out: Audio) -> None:
    take, i = item.take, item.info
    if take is None or take.source is None or i["B_MUTE"]:
        return
    t = take.info
    # Samples at or after its beginning and before its end.
    first = math.ceil(i["D_POSITION"] * rate - _EPS)
    stop = math.ceil((i["D_POSITION"] + i["D_LENGTH"]) * rate - _EPS)
    heard = np.arange(first, stop) / rate - i["D_POSITION"]
    audio = channels(take_sound(item, heard), int(t["I_CHANMODE"]))
    gain = np.full(len(heard), i["D_VOL"] * t["D_VOL"])
    fade_in = i["D_FADEINLEN_AUTO"] if i["D_FADEINLEN_AUTO"] >= 0 else i["D_FADEINLEN"]
    fade_out = i["D_FADEOUTLEN_AUTO"] if i["D_FADEOUTLEN_AUTO"] >= 0 else i["D_FADEOUTLEN"]
    if fade_in > 0:
        gain *= _fade(heard / fade_in, i["C_FADEINSHAPE"], i["D_FADEINDIR"])
    if fade_out > 0:
        gain *= _fade((i["D_LENGTH"] - heard) / fade_out, i["C_FADEOUTSHAPE"], i["D_FADEOUTDIR"])
    out[first:stop] += audio * gain[:, None] * _pan(t["D_PAN"])


def _pan(pan: float) -> Audio:
    return np.array([min(1.0, 1 - pan), min(1.0, 1 + pan)])


def _fader(track: Track) -> Audio:
    i = track.info
    return _pan(i["D_PAN"]) * i["D_VOL"] * (-1 if i["B_PHASE"] else 1) * (2.0 ** -len(track.effects))


def render(project: Project, seconds: float) -> Audio:
    """The mix of the project's first seconds, shape (frames, 2)."""
    frames = round(seconds * project.rate)
    mixes = [np.zeros((frames, 2))]
    folders: list[Track] = []
    for track in project.tracks:
        depth = int(track.info["I_FOLDERDEPTH"])
        own = np.zeros((frames, 2))
        for item in track.items:
            _item(item, project.rate, own)
        if depth > 0:
            folders.append(track)
            mixes.append(own)
            continue
        mixes[-1] += own * _fader(track) * (not track.info["B_MUTE"])
        for _ in range(min(-depth, len(folders))):
            folder = folders.pop()
            mix = mixes.pop()
            mixes[-1] += mix * _fader(folder) * (not folder.info["B_MUTE"])
    while folders:
        folder = folders.pop()
        mix = mixes.pop()
        mixes[-1] += mix * _fader(folder) * (not folder.info["B_MUTE"])
    return mixes[0]


def null_db(one: Audio, other: Audio) -> float:
    """Peak of the difference in dBFS."""
    peak = float(np.abs(one - other).max())
    return 20 * float(np.log10(max(peak, 1e-15)))

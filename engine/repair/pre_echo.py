"""PreEcho: takes away the noise that transform coders spread before the hits of a drum stem.

A coder's quantisation noise fills its whole block, and so comes before the hit that caused it. On a drum stem
the moments before show what was there: noise that is louder than they were, before most hits, is an echo of
the hits. In a mix other instruments fill those moments: nothing can be told apart there, and nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import istft, stft, window_length
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float32]
Frames = npt.NDArray[np.intp]

_WINDOW_S = 0.0058
#: Hits are looked for above this frequency: below, a window of 6 ms sees half a period.
_FROM_HZ = 1500.0
#: A hit rises by this much over what came just before, to no less than this below the mean power.
_RISE_DB, _QUIET_DB = 8.0, -12.0
#: Frames from the loudest rise back to the last one without any of the attack.
_GUARD = 5
#: Frames before a hit that may hold its echo (a block of 4096 is 90 ms long), and those of them that tell.
_ECHO, _TELLING = 62, 16
#: Frames that show what was there, for long blocks and for short ones: the quieter counts.
_BEFORE = ((-83, -62), (-52, -31))
#: Frames between two hits at least.
_APART = 40
#: Hits are echoed if what comes before the usual one is louder than what was there by this.
_EXCESS_DB, _FEWEST = 4.0, 4
#: What was there may have varied by this.
_SPREAD = 2.0
_FLOOR = 1e-9
_STRETCH_FRAMES = 1 << 17


@dataclass
class _Found:
    """First frame of each hit's attack on the grid of the transform, and how loud the echoes are."""

    hits: Frames
    excess_db: float
    hop: int
    sample_rate: int


class PreEcho(Repair):
    """Before each hit every bin is lowered to what it was before the echo began, by up to `floor_db`."""

    effect: ClassVar[str] = "pre_echo"
    artifact: ClassVar[str] = "pre-echo"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.2

    floor_db: float = Field(-24.0, ge=-60.0, le=0.0, description="lowest gain that a bin may get, in dB")

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Find the hits; None where they are few or where the moments before them are not louder."""
        length = window_length(source.sample_rate, _WINDOW_S)
        hop = length // 4
        mean = _mean_power(source, length)
        if mean <= 0.0:
            return None
        hits, excesses = [], []
        for first, power, kept in _stretches(source, length):
            for hit in _hits(power, mean):
                if kept.start <= hit < kept.stop and hit >= -_BEFORE[0][0]:
                    hits.append(first + hit)
                    excesses.append(_excess_db(power, hit, mean))
        if len(hits) < _FEWEST:
            return None
        excess_db = float(np.median(excesses))
        if excess_db < _EXCESS_DB:
            return None
        echoed = np.array(hits, np.intp)[np.array(excesses) > _EXCESS_DB / 2]
        return _Found(echoed, excess_db, hop, source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Lower what comes before the hits of this block; the rest keeps its bits."""
        length, hop = 4 * found.hop, found.hop
        first = start // hop
        count = max((block.shape[1] - length) // hop + 1, 0)
        inside = found.hits[(found.hits - first >= -_BEFORE[0][0]) & (found.hits - first < count)]
        if not inside.size:
            return block
        spectrum = stft(block, length, hop)
        power = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)
        gain = np.ones_like(power)
        for hit in inside - first:
            echo = slice(hit - _ECHO, hit)
            gain[echo] = np.minimum(gain[echo], self._gain(power, int(hit)))
        # Only the change goes through the inverse transform.
        return block + istft(spectrum * (gain - 1), length, hop, block.shape[1])

    def _gain(self, power: Floats, hit: int) -> Floats:
        from scipy.ndimage import uniform_filter, uniform_filter1d

        before = np.min([np.median(power[hit + a : hit + b], axis=0) for a, b in _BEFORE], axis=0)
        echo = uniform_filter1d(power[hit - _ECHO : hit], 3, axis=0)
        lowest = np.float32(10 ** (self.floor_db / 10))
        gain = np.sqrt(np.clip(_SPREAD * before / np.maximum(echo, np.float32(1e-30)), lowest, 1.0))
        return np.asarray(uniform_filter(gain, (3, 5), mode="nearest"), np.float32)

    def describe(self, found: _Found) -> dict[str, Any]:
        """How many hits had an echo."""
        seconds = found.hop / found.sample_rate
        return self.damage_report(
            f"{len(found.hits)} hits with {found.excess_db:.0f} dB of noise before them",
            f"lowered to what was there before, by up to {-self.floor_db:.0f} dB",
            [Place(start_s=float((hit - _ECHO) * seconds), end_s=float(hit * seconds)) for hit in found.hits],
            hits=float(len(found.hits)),
            excess_db=found.excess_db,
        )


def _high_power(source: AudioBuffer, length: int, start: int, stop: int) -> Floats:
    """Power above `_FROM_HZ` of the frames of the samples `[start, stop)`."""
    spectrum = stft(source.read(start, stop), length, length // 4)
    part = spectrum[:, :, int(_FROM_HZ * length / source.sample_rate) :]
    return np.asarray((np.square(part.real) + np.square(part.imag)).sum(axis=(0, 2)), np.float32)


def _mean_power(source: AudioBuffer, length: int) -> float:
    total, count = 0.0, 0
    for start in range(0, source.frames, _STRETCH_FRAMES):
        power = _high_power(source, length, start, min(start + _STRETCH_FRAMES, source.frames))
        total, count = total + float(power.sum(dtype=np.float64)), count + power.size
    return total / count if count else 0.0


def _stretches(source: AudioBuffer, length: int) -> Iterator[tuple[int, Floats, range]]:
    """(first frame, power, frames that belong to this stretch); the others are there to look at."""
    hop = length // 4
    margin = 3 * _APART
    for start in range(0, source.frames, _STRETCH_FRAMES):
        stop = min(start + _STRETCH_FRAMES, source.frames)
        power = _high_power(source, length, start - margin * hop, stop + margin * hop + length - hop)
        yield start // hop - margin, power, range(margin, margin + -(-(stop - start) // hop))


def _hits(power: Floats, mean: float) -> Frames:
    """First frames of the attacks: where the power steps up most, looked back to where it had not begun."""
    from scipy.ndimage import maximum_filter1d

    level = 10 * np.log10(power + np.float32(mean * _FLOOR))
    rise = np.zeros_like(level)
    # From the mean of three frames to the frame that holds the attack whole.
    rise[5:-1] = level[6:] - (level[:-6] + level[1:-5] + level[2:-4]) / 3
    # The beginning of an echo is a step, too, but not a loud one.
    rise[:-1][level[1:] <= 10 * np.log10(mean) + _QUIET_DB] = 0.0
    peak = (rise == maximum_filter1d(rise, 2 * _APART + 1)) & (rise > _RISE_DB)
    return np.flatnonzero(peak) - _GUARD + 1


def _excess_db(power: Floats, hit: int, mean: float) -> float:
    """How much louder the last 23 ms before a hit are than what was there."""
    before = min(float(np.median(power[hit + a : hit + b])) for a, b in _BEFORE)
    echo = float(np.median(power[hit - _TELLING : hit]))
    return 10 * float(np.log10((echo + mean * _FLOOR) / (before + mean * _FLOOR)))

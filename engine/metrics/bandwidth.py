"""bandwidth: up to where a recording holds energy, and where something cut its top off.

The roll-off is the frequency below which 99 % of the energy lies (Tzanetakis and Cook, "Musical genre
classification of audio signals", 2002). A cutoff is a step in the mean spectrum: music falls gently, a low-
pass of a codec, a resampler or a 32 kHz generator falls by tens of dB within some hundred Hz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import bin_frequencies, fft_length, frame_power, power_floor

_ROLLOFF_SHARE = 0.99
#: A step of at least this much is a cutoff; unfiltered music measured 10 at the most.
_STEP_DB = 15.0
#: Levels on both sides of a step are medians over this, with this transition between them.
_SIDE_HZ, _TRANSITION_HZ = 1000.0, 400.0
_LOWEST_CUTOFF_HZ = 2000.0
_FLOOR_DB = 140.0


@dataclass(frozen=True)
class Bandwidth:
    """Both in Hz."""

    #: 99 % of the energy lies below.
    rolloff_hz: float | None
    #: Where the spectrum breaks off, None if it does not.
    cutoff_hz: float | None


def bandwidth(buffer: AudioBuffer) -> Bandwidth:
    """Of the mean spectrum of all frames and channels."""
    length = fft_length(buffer.sample_rate)
    frequencies = bin_frequencies(buffer.sample_rate, length)
    floor = np.float32(power_floor(buffer, length, _FLOOR_DB))
    energy: npt.NDArray[np.float64] = np.zeros(len(frequencies))
    levels = np.zeros_like(energy)
    count = 0
    for power in frame_power(buffer, length, length // 2):
        frames = power.reshape(-1, power.shape[-1])
        frames = frames[frames.max(axis=1) > floor]
        energy += frames.sum(0, dtype=np.float64)
        levels += 10.0 * np.log10(frames + floor).sum(0, dtype=np.float64)
        count += len(frames)
    if count == 0:
        return Bandwidth(None, None)
    reached = np.searchsorted(np.cumsum(energy), _ROLLOFF_SHARE * energy.sum())
    return Bandwidth(float(frequencies[reached]), _cutoff_hz(levels / count, frequencies))


def _cutoff_hz(level_db: npt.NDArray[np.float64], frequencies_hz: npt.NDArray[np.float64]) -> float | None:
    """Middle of the greatest step down, if it is one."""
    step = float(frequencies_hz[1])
    side, gap = max(round(_SIDE_HZ / step), 3), max(round(_TRANSITION_HZ / step), 1)
    first = max(round(_LOWEST_CUTOFF_HZ / step), side)
    # Half a side above is enough: the cutoff may lie close to half the sample rate.
    middles = np.arange(first, len(level_db) - gap - side // 2)
    if not len(middles):
        return None
    drops = np.array(
        [np.median(level_db[k - side : k]) - np.median(level_db[k + gap : k + gap + side]) for k in middles]
    )
    best = int(np.argmax(drops))
    if drops[best] < _STEP_DB:
        return None
    # Where it falls by the largest step the edge lies half way down the transition.
    start = int(middles[best])
    high = np.median(level_db[start - side : start])
    low = np.median(level_db[start + gap : start + gap + side])
    inside = level_db[start : start + gap + 1]
    below = np.flatnonzero(inside < 0.5 * (high + low))
    return float(frequencies_hz[start + (int(below[0]) if len(below) else gap)])

"""Level: how loud a recording is where it plays, so that effects can set their thresholds relative to it.

The recording is read once and kept as two numbers per hop of about 0.7 ms: the peak and the mean power over
the channels. Everything else here is computed from them. Levels are unweighted, in dB re full scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.curve import let_go, new_curve, pieces

Curve = npt.NDArray[np.float32]

#: A recording whose loudest window is below this counts as silent.
SILENCE_DB = -90.0
#: Windows this far below the loudest one are pauses. ITU-R BS.1770 puts this gate at -70 LUFS; a relative one
#: makes the level of a quieter copy lower by exactly the difference.
PAUSE_DB = 60.0
#: Windows this far below the mean of the rest are quiet passages (the relative gate of BS.1770).
QUIET_DB = 10.0
#: Power that stands for zero, so that logarithms stay finite: -200 dB.
TINY = 1e-20

_STEP_S = 0.1
_STEPS_PER_WINDOW = 4
_STEPS_AT_ONCE = 1024


def hop_length(sample_rate: int) -> int:
    """Frames per value of an envelope or gain curve: the power of two nearest to 0.73 ms (32 at 44.1 kHz)."""
    return int(2 ** max(1, round(math.log2(sample_rate * 0.73e-3))))


def hop_power(block: Audio, hop: int) -> Curve:
    """Mean square over the channels per hop of `block`, shape (channels, n) -> (ceil(n / hop),)."""
    hops = _hops(block, hop)
    return np.asarray(np.einsum("cnh,cnh->n", hops, hops) / (hop * len(block)), np.float32)


def hop_peak(block: Audio, hop: int) -> Curve:
    """Largest magnitude over the channels per hop of `block`, shape (channels, n) -> (ceil(n / hop),)."""
    loudest: Curve = np.abs(block).max(axis=0, keepdims=True)
    return np.asarray(_hops(loudest, hop)[0].max(axis=1), np.float32)


def _hops(block: Audio, hop: int) -> Audio:
    """`block` with zeros to a whole number of hops, shape (channels, hops, hop)."""
    missing = -block.shape[1] % hop
    if missing:
        block = np.pad(block, ((0, 0), (0, missing)))
    return block.reshape(len(block), -1, hop)


@dataclass(frozen=True)
class Envelope:
    """Peak (linear) and mean power per hop of a whole recording, linked over its channels."""

    peak: Curve
    power: Curve
    hop_length: int
    sample_rate: int

    @classmethod
    def of(cls, source: AudioBuffer) -> Envelope:
        """Measure `source` in one pass."""
        hop = hop_length(source.sample_rate)
        count = -(-source.frames // hop)
        peak, power = new_curve(count), new_curve(count)
        for start, block in source.blocks():
            first = start // hop
            blocks_peak = hop_peak(block, hop)
            peak[first : first + len(blocks_peak)] = blocks_peak
            power[first : first + len(blocks_peak)] = hop_power(block, hop)
            let_go(peak, power)
        return cls(peak, power, hop, source.sample_rate)

    def apply(self, gain: Curve) -> None:
        """Make it the envelope of the recording with `gain` (linear, per hop), in place."""
        for peak, power, factor in pieces(self.peak, self.power, gain):
            peak *= factor
            power *= factor
            power *= factor

    @property
    def hops_per_second(self) -> float:
        """Rate of the curves in Hz."""
        return self.sample_rate / self.hop_length

    @property
    def peak_db(self) -> float:
        """Sample peak of the recording."""
        highest = max((float(peak.max()) for (peak,) in pieces(self.peak)), default=0.0)
        return 20 * math.log10(max(highest, math.sqrt(TINY)))

    @property
    def gated_db(self) -> float | None:
        """RMS level of the parts that play; None if the recording is silent."""
        return gated_level_db(self.power, self.hops_per_second)

    def percentile_db(self, percent: float) -> float:
        """The level that 100 ms steps stay below for `percent` of the time, pauses left out."""
        steps = _steps(self.power, self.hops_per_second)
        playing = steps[steps > steps.max(initial=0.0) * 10 ** (-PAUSE_DB / 10)]
        return decibels(float(np.percentile(playing, percent)) if playing.size else 0.0)


def decibels(power: float) -> float:
    """Power as a level."""
    return 10 * math.log10(max(power, TINY))


def gated_level_db(power: Curve, hops_per_second: float) -> float | None:
    """RMS level of the parts that play, from the power per hop; None if nothing does.

    The gates of ITU-R BS.1770-4 (400 ms windows that overlap by 75 %, those more than 10 dB below the mean
    left out) without its weighting filter, and with the absolute gate replaced: see `PAUSE_DB`.
    """
    steps = _steps(power, hops_per_second)
    if len(steps) < _STEPS_PER_WINDOW:
        windows = steps.mean(keepdims=True) if len(steps) else steps
    else:
        windows = np.convolve(steps, np.full(_STEPS_PER_WINDOW, 1 / _STEPS_PER_WINDOW), "valid")
    loudest = float(windows.max(initial=0.0))
    if decibels(loudest) < SILENCE_DB:
        return None
    playing = windows[windows > loudest * 10 ** (-PAUSE_DB / 10)]
    loud = playing[playing > playing.mean() * 10 ** (-QUIET_DB / 10)]
    return decibels(float(loud.mean()))


def _steps(power: Curve, hops_per_second: float) -> npt.NDArray[np.float64]:
    """Mean power of consecutive steps of 100 ms; the last one may be shorter."""
    step = max(1, round(_STEP_S * hops_per_second))
    means = [np.zeros(0)]
    for (part,) in pieces(power, size=step * _STEPS_AT_ONCE):
        starts = np.arange(0, len(part), step)
        means.append(np.add.reduceat(part, starts, dtype=np.float64) / np.diff(starts, append=len(part)))
    return np.concatenate(means)

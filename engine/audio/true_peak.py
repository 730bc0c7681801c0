"""TruePeak: the peak between the samples of a recording, interpolated only where it could lie.

ITU-R BS.1770-4, annex 2, with libebur128's filter: a windowed sinc of 49 taps, 4 times oversampled below
96 kHz and twice below 192 kHz. No interpolated value exceeds the highest sample within the filter's reach
times the sum of the filter's magnitudes, so where that stays below the peak found so far nothing is computed:
the result is that of interpolating everything, for a fraction of the work. It is made of sums in a fixed
order, so it depends neither on block edges nor on threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio

_TAPS = 49
#: Frames that are interpolated or left out together, and how many of those at once.
_HOP, _HOPS_AT_ONCE = 32, 2048


class TruePeak:
    """Fed the blocks of a recording in order; `linear` is the largest magnitude over its channels so far."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        #: Includes the samples themselves; the last ones are interpolated by `finish`.
        self.linear = 0.0
        self._phases = _interpolation(sample_rate)
        #: The hop before the next one, and what is there of the next.
        self._held = np.zeros((channels, _HOP), np.float32)
        self._bound = np.float32(np.abs(self._phases).sum(axis=1).max(initial=1.0) * 1.00001)

    def add(self, block: Audio) -> None:
        """Go on with `block`, shape (channels, n)."""
        if block.shape[1] == 0:
            return
        self.linear = max(self.linear, float(block.max()), -float(block.min()))
        if not len(self._phases):
            return
        # Whole hops only: what the filter makes of the end of a block depends on what comes next.
        audio = np.concatenate([self._held, block], axis=1)
        hops = audio.shape[1] // _HOP - 1
        self._held = audio[:, hops * _HOP :].copy()
        if hops > 0:
            self._look(np.ascontiguousarray(audio[:, : (1 + hops) * _HOP]), hops)

    def finish(self) -> float:
        """The peak, with what the filter still makes of the end of the recording."""
        self.add(np.zeros((len(self._held), 2 * _HOP), np.float32))
        return self.linear

    def _look(self, audio: Audio, hops: int) -> None:
        """Interpolate the hops after the first, which is there because their windows begin in it."""
        reach = self._phases.shape[1]
        by_hop = audio.reshape(len(audio), -1, _HOP)
        loudest = np.maximum(by_hop.max(axis=2), -by_hop.min(axis=2))
        nearby = np.maximum(loudest[:, 1:], loudest[:, :-1]).reshape(-1) * self._bound
        windows = np.lib.stride_tricks.sliding_window_view(audio[:, _HOP - reach :], reach + _HOP, axis=1)
        windows = windows[:, ::_HOP]
        # The loudest first: they raise the peak, and with it what can be left out.
        order = np.flatnonzero(nearby > self.linear)
        order = order[np.argsort(-nearby[order], kind="stable")]
        for first in range(0, len(order), _HOPS_AT_ONCE):
            chosen = order[first : first + _HOPS_AT_ONCE]
            chosen = chosen[nearby[chosen] > self.linear]
            if not len(chosen):
                break
            self.linear = max(self.linear, self._highest(windows[chosen // hops, chosen % hops]))

    def _highest(self, windows: Audio) -> float:
        """Largest magnitude between the samples of `windows`, shape (hops, reach + _HOP)."""
        highest = 0.0
        total, term = np.empty((2, len(windows), _HOP), np.float32)
        for phase in self._phases:
            total.fill(0.0)
            for tap, factor in enumerate(phase):
                np.multiply(windows[:, tap + 1 : tap + 1 + _HOP], factor, out=term)
                total += term
            highest = max(highest, float(total.max()), -float(total.min()))
        return highest


def _interpolation(sample_rate: int) -> npt.NDArray[np.float32]:
    """One filter per place between two samples, shape (places, taps each); none from 192 kHz on."""
    factor = 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1
    distance = (np.arange(_TAPS) - _TAPS // 2) / factor
    taps = np.sinc(distance) * np.hanning(_TAPS)
    # The phase at a whole frame is the sample itself; the others end one tap earlier.
    phases = [taps[phase::factor][::-1] for phase in range(1, factor)]
    return np.array(phases, np.float32).reshape(factor - 1, _TAPS // factor)

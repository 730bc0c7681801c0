"""Declip: gives clipped peaks their tops back, and changes no other sample.

Two kinds of estimate are averaged, because their errors differ. Three are sparse in a short-time spectrum
(A-SPADE, S. Kitić, N. Bertin and R. Gribonval, "Sparsity and cosparsity for audio declipping: a flexible
non-convex approach", LVA/ICA 2015) with windows of 12, 23 and 46 ms. One is autoregressive (A. Janssen, R.
Veldhuis and L. Vries, "Adaptive interpolation of discrete-time signals that can be modeled as autoregressive
processes", IEEE Trans. ASSP 34, 1986) with the coefficients of the sparse estimates' mean. In all of them a
clipped sample lies at or beyond the level at which it was cut.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import root_hann, window_length
from engine.repair.clip_level import WINDOW_S, Flags, Levels, find_clip_levels
from engine.repair.repair import Place, Repair

Doubles = npt.NDArray[np.float64]

#: Rounds of A-SPADE.
_ROUNDS = 24
#: Coefficients that join the sparse estimate per round, for every window.
_GROWTH = 10
#: Least squares falls a little short of the true peaks: found on half of the songs, checked on the others.
_OVERSHOOT = 1.05
#: No peak is made higher than this many times its clip level.
_MAX_PEAK = 3.0
#: Frames with more clipped samples keep the sparse estimate: the equations grow too many.
_MAX_UNKNOWN = 1200
#: Frames of A-SPADE worked on at a time.
_BATCH = 256


class Declip(Repair):
    """Flat tops at a level that the recording shares are rebuilt; without such a level nothing is touched."""

    effect: ClassVar[str] = "declip"
    artifact: ClassVar[str] = "clipping"
    linear: ClassVar[bool] = False
    #: Windows of the sparse and the autoregressive estimate, on their grids.
    context_s: ClassVar[float] = 0.6

    def analyse(self, source: AudioBuffer) -> tuple[Levels, int] | None:
        """The clip levels of every channel and sign; None if there are none."""
        levels = find_clip_levels(source)
        return None if levels is None else (levels, source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: tuple[Levels, int]) -> Audio:
        """Each channel by its own clip levels: a channel that was not clipped stays as it is."""
        clipped, bound = found[0].clipped(block, start, sample_rate)
        result: Audio = block.copy()
        length = window_length(sample_rate)
        for channel in np.flatnonzero(clipped.any(axis=1)):
            x, bad, limit = block[channel], clipped[channel], bound[channel]
            sparse = np.zeros(x.size, np.float32)
            for size in (length // 4, length // 2, length):
                sparse += _sparse(x, bad, limit, size, start) / np.float32(3)
            regressive = _autoregressive(x, bad, limit, sparse, 4 * length, start)
            over = np.abs(0.75 * sparse[bad] + 0.25 * regressive[bad]) - np.abs(limit[bad])
            level = np.abs(limit[bad])
            peak = level + np.clip(_OVERSHOOT * over, 0, (_MAX_PEAK - 1) * level)
            result[channel, bad] = np.copysign(peak, limit[bad])
        return result

    def describe(self, found: tuple[Levels, int]) -> dict[str, Any]:
        """Clip levels in dBFS and the places in seconds."""
        levels, sample_rate = found
        values = [float(v) for both in levels.of for sign in both for v in sign]
        low, high = (20 * np.log10(v) for v in (min(values), max(values)))
        places: list[Place] = []
        for first in (levels.windows / sample_rate).tolist():
            if places and first - places[-1].end_s < 1e-6:
                places[-1].end_s = round(first + WINDOW_S, 3)
            else:
                places.append(Place(start_s=round(first, 3), end_s=round(first + WINDOW_S, 3)))
        at = f"{high:.1f} dBFS" if high - low < 0.05 else f"{low:.1f} to {high:.1f} dBFS"
        return self.damage_report(
            f"The tops of the waves are cut off at {at}, at {len(places)} places.",
            "The cut tops were rebuilt from the sound around them; peaks now rise above that level.",
            places,
            clip_level_db=high,
            clipped_samples=levels.samples,
        )


def _sparse(x: Audio, bad: Flags, limit: Audio, size: int, start: int) -> Audio:
    """A-SPADE in frames of `size`; `x` with its samples `bad` estimated, shape (n,)."""
    from scipy.fft import irfft, rfft

    hop = size // 4
    window = root_hann(size)
    first = -start % hop
    if x.size < first + size:
        same: Audio = x.copy()
        return same
    view = np.lib.stride_tricks.sliding_window_view
    here = view(bad[first:], size)[::hop]
    chosen = np.flatnonzero(here.any(axis=1))
    out = np.zeros(x.size, np.float32)
    weight = np.zeros(x.size, np.float32)
    bins = size + 1
    for low in range(0, chosen.size, _BATCH):
        part = chosen[low : low + _BATCH]
        known = view(x[first:], size)[::hop][part] * window
        least = view(limit[first:], size)[::hop][part] * window
        up, down = least > 0, least < 0
        estimate = known
        residual = np.zeros((part.size, bins), np.complex64)
        spectrum = rfft(estimate, 2 * size, axis=1)
        for turn in range(_ROUNDS):
            sparse = spectrum + residual
            power = np.square(sparse.real) + np.square(sparse.imag)
            keep = min(1 + turn * _GROWTH, bins - 1)
            sparse[power < np.partition(power, bins - keep, axis=1)[:, bins - keep, None]] = 0
            estimate = irfft(sparse - residual, 2 * size, axis=1)[:, :size]
            estimate = np.where(
                up, np.maximum(estimate, least), np.where(down, np.minimum(estimate, least), known)
            )
            spectrum = rfft(estimate, 2 * size, axis=1)
            residual += spectrum - sparse
        estimate *= window
        for row, frame in enumerate(part.tolist()):
            place = first + frame * hop
            out[place : place + size] += estimate[row]
            weight[place : place + size] += window**2
    filled: Audio = np.where(bad & (weight > 0), out / np.maximum(weight, np.float32(1e-6)), x)
    return filled


def _autoregressive(x: Audio, bad: Flags, limit: Audio, guess: Audio, size: int, start: int) -> Audio:
    """Least-squares estimate of the samples `bad`, frame by frame, with the coefficients of `guess`."""
    hop = size // 2
    window = np.hanning(size + 1)[:-1]
    out = np.zeros(x.size)
    weight = np.zeros(x.size)
    for place in range(-start % hop, x.size - size + 1, hop):
        here = slice(place, place + size)
        if not bad[here].any():
            continue
        frame = guess[here].astype(np.float64)
        if np.count_nonzero(bad[here]) <= _MAX_UNKNOWN:
            frame = _solve(x[here].astype(np.float64), bad[here], limit[here], frame, window)
        out[here] += frame * window
        weight[here] += window
    estimate: Audio = np.where(weight > 1e-6, out / np.maximum(weight, 1e-6), guess).astype(np.float32)
    return estimate


def _solve(x: Doubles, bad: Flags, limit: Audio, guess: Doubles, window: Doubles) -> Doubles:
    """`x` with the samples `bad` of the least prediction error that keep to their limits."""
    from scipy.fft import irfft, next_fast_len, rfft
    from scipy.linalg import LinAlgError, solve, solve_toeplitz

    order = x.size // 8
    size = next_fast_len(2 * x.size, real=True)
    correlation = irfft(np.abs(rfft(guess * window, size)) ** 2, size)[: order + 1]
    correlation[0] *= 1 + 1e-9
    try:
        predictor = np.concatenate([[1.0], -solve_toeplitz(correlation[:order], correlation[1:])])
    except LinAlgError:
        return guess
    # The error's energy is a quadratic form with this autocorrelation of the predictor.
    energy = np.abs(rfft(predictor, size)) ** 2
    lags = irfft(energy, size)
    unknown = np.flatnonzero(bad)
    sign, least = np.sign(limit[unknown]), np.abs(limit[unknown]).astype(np.float64)
    matrix = lags[np.abs(unknown[:, None] - unknown[None])]
    matrix[np.diag_indices(unknown.size)] *= 1 + 1e-9
    known: Doubles = np.where(bad, 0, x)
    right = -irfft(energy * rfft(known, size), size)[unknown]
    at_limit = np.zeros(unknown.size, bool)
    value = sign * least
    for _ in range(4):
        free = ~at_limit
        if not free.any():
            break
        value = sign * least
        target = right[free] - matrix[np.ix_(free, at_limit)] @ value[at_limit]
        try:
            value[free] = solve(matrix[np.ix_(free, free)], target, assume_a="pos")
        except LinAlgError:
            return guess
        short = free & (value * sign < least)
        if not short.any():
            break
        at_limit |= short
    result: Doubles = x.copy()
    result[unknown] = sign * np.maximum(value * sign, least)
    return result

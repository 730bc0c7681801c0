"""Linear prediction: what of a signal its past and its future don't foretell, and samples filled in by both.

Sources: S. Godsill and P. Rayner, "Digital Audio Restoration" (Springer, 1998), chapters 4 and 5, for clicks
in the prediction error; A. Janssen, R. Veldhuis and L. Vries, "Adaptive interpolation of discrete-time
signals that can be modeled as autoregressive processes", IEEE Trans. ASSP 34 (1986), for the interpolation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.compiled import compiled

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@compiled
def prediction_error(x: Doubles, order: int, hop: int) -> Doubles:
    """The smaller of the forward and the backward prediction error of every sample, shape (n,).

    Coefficients are made anew every `hop` samples from a Hann window of twice that length. An impulse shows
    in both errors only where it is, so the smaller one marks its place.
    """
    n = x.size
    error = np.zeros(n)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop))
    part = np.zeros(2 * hop)
    lags = np.zeros(order + 1)
    a = np.zeros(order + 1)
    new = np.zeros(order + 1)
    for start in range(0, n, hop):
        low = start - hop // 2
        for i in range(2 * hop):
            j = low + i
            part[i] = x[j] * window[i] if 0 <= j < n else 0.0
        for k in range(order + 1):
            total = 0.0
            for i in range(2 * hop - k):
                total += part[i] * part[i + k]
            lags[k] = total
        if lags[0] <= 0:
            continue
        lags[0] *= 1 + 1e-7
        # Levinson and Durbin's recursion.
        a[:] = 0
        a[0] = 1
        power = lags[0]
        for k in range(1, order + 1):
            reflection = lags[k]
            for i in range(1, k):
                reflection += a[i] * lags[k - i]
            reflection /= -power
            new[:] = a
            for i in range(1, k):
                new[i] = a[i] + reflection * a[k - i]
            new[k] = reflection
            a[:] = new
            power *= 1 - reflection * reflection
            if power <= 0:
                break
        for j in range(start, min(start + hop, n)):
            forward = 0.0
            backward = 0.0
            if j >= order and j + order < n:
                for k in range(order + 1):
                    forward += a[k] * x[j - k]
                    backward += a[k] * x[j + k]
            error[j] = min(abs(forward), abs(backward))
    return error


def predictor(x: Doubles, order: int) -> Doubles:
    """Coefficients of the prediction-error filter of `x`, shape (order + 1,); the first is 1."""
    from scipy.linalg import solve_toeplitz

    windowed = x * np.hanning(x.size + 2)[1:-1]
    lags = np.array([windowed[: x.size - k] @ windowed[k:] for k in range(order + 1)])
    lags[0] = lags[0] * (1 + 1e-7) + 1e-30
    return np.concatenate([[1.0], -solve_toeplitz(lags[:order], lags[1:])])


def interpolate(x: Doubles, bad: Flags, order: int) -> tuple[Doubles, Doubles]:
    """`x` with the samples `bad` filled in, and its prediction error (same length, 0 in the first `order`).

    The filled-in samples are those of the least prediction error; two rounds, since they shape the predictor.
    """
    from scipy.linalg import solve

    unknown = np.flatnonzero(bad)
    filled = np.where(bad, 0.0, x)
    for _ in range(2):
        a = predictor(filled, order)
        lags = np.zeros(max(unknown[-1] - unknown[0], order) + 1)
        lags[: order + 1] = np.correlate(a, a, "full")[order:]
        both = np.concatenate([lags[order:0:-1], lags[: order + 1]])
        matrix = lags[np.abs(unknown[:, None] - unknown[None])]
        matrix[np.diag_indices(unknown.size)] *= 1 + 1e-9
        right = -np.convolve(np.where(bad, 0.0, x), both, "same")[unknown]
        filled[unknown] = solve(matrix, right, assume_a="pos")
    error = np.convolve(filled, a)[: x.size]
    error[:order] = 0
    return filled, error

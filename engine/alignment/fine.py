"""Fine delay: the slope of the cross-spectrum's phase by maximum likelihood, without unwrapping it.

Each bin votes with the Hannan-Thomson weight g2 / (1 - g2), g2 being its magnitude-squared coherence (Knapp
and Carter, "The generalized correlation method for estimation of time delay", 1976). The delay is where the
weighted sum of cosines has its largest magnitude; the sum's sign is the polarity. An accurate grid comes from
one inverse FFT, then Newton's method finishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.alignment.spectra import Complex, CrossSpectra, Real

Mask = npt.NDArray[np.bool_]

#: Frames either side of the coarse lag that the fine search covers.
SPAN_FRAMES = 6
#: A bin may count as 40 dB above its noise at most, else a few clean bins outvote all others.
_MOST_COHERENCE = 0.9999
#: Bins 80 dB under the strongest hold rounding and leakage.
_LEVEL_GATE = 1e-8
#: Bins that grew by 12 dB more than the whole hold what an effect made, not what it passed on.
_MOST_GROWTH = 10**1.2
#: Lags at which the phases agree equally well, but for this, can't be told apart.
_SAME_CONFIDENCE = 0.02
#: A fine delay past this means that the coarse lag was a few frames off.
REPEAT_FRAMES = 1.5
_GRID_PER_FRAME = 16
_LOWEST_HZ = 20.0
#: Share of the sample rate above which resamplers and converters have their transition band.
_HIGHEST_SHARE = 0.47


@dataclass(frozen=True)
class FineDelay:
    """What the phase says about the delay left after the coarse lag."""

    delay_samples: float
    polarity: Literal[1, -1]
    confidence: float


def audible(frequencies_hz: Real) -> Mask:
    """Mask of the bins that may count, from rfft frequencies."""
    highest = 2 * frequencies_hz[-1] * _HIGHEST_SHARE
    return np.asarray((frequencies_hz >= _LOWEST_HZ) & (frequencies_hz <= highest))


def fit_spectra(spectra: CrossSpectra, views: slice) -> tuple[FineDelay, Real]:
    """Fine delay and weights of one view, or of several summed."""
    cross: Complex = spectra.cross[views].sum(0)
    weights = ml_weights(
        spectra.reference[views].sum(0),
        spectra.other[views].sum(0),
        cross,
        spectra.frames,
        spectra.frequencies_hz,
    )
    return fit_delay(cross, weights), weights


def ml_weights(reference: Real, other: Real, cross: Complex, frames: int, frequencies_hz: Real) -> Real:
    """The weight of each bin, from spectra summed over `frames` Welch frames; shape (bins,)."""
    g2 = np.abs(cross) ** 2 / np.maximum(reference * other, 1e-60)
    g2 = np.clip(unbiased(g2, frames), 0.0, _MOST_COHERENCE)
    loud = (reference > reference.max() * _LEVEL_GATE) & (other > 0)
    passed_on = other * reference.sum() <= _MOST_GROWTH * reference * other.sum()
    return np.where(loud & passed_on & audible(frequencies_hz), g2 / (1.0 - g2), 0.0)


def unbiased(coherence: Real, frames: int) -> Real:
    """Magnitude-squared coherence without what `frames` random phases would show by chance (1 / frames)."""
    if frames < 2:
        return coherence
    return (coherence - 1.0 / frames) / (1.0 - 1.0 / frames)


def fit_delay(cross: Complex, weights: Real) -> FineDelay:
    """Maximise |sum of W cos(phase + omega d)| over d; `cross` and `weights` have the shape (bins,)."""
    from scipy.fft import irfft

    total = float(weights.sum())
    if total <= 0.0:
        return FineDelay(0.0, 1, 0.0)
    length = 2 * (len(cross) - 1)
    phase = np.angle(cross)
    # irfft counts inner bins twice and both ends once; the ends lie outside the audible mask.
    votes = irfft(weights * np.exp(1j * phase), length * _GRID_PER_FRAME)
    span = min(SPAN_FRAMES, length // 2 - 1) * _GRID_PER_FRAME
    grid = np.concatenate([votes[-span:], votes[: span + 1]])
    best = int(np.argmax(np.abs(grid)))
    sign: Literal[1, -1] = 1 if grid[best] >= 0.0 else -1
    delay = (best - span) / _GRID_PER_FRAME

    omega = np.pi * np.arange(len(cross)) / (len(cross) - 1)
    limit = 1.0 / _GRID_PER_FRAME
    for _ in range(20):
        error = phase + omega * delay
        slope = -sign * float((weights * omega * np.sin(error)).sum())
        curve = -sign * float((weights * omega**2 * np.cos(error)).sum())
        if curve >= 0.0:
            break
        step = -slope / curve
        delay += float(np.clip(step, -limit, limit))
        if abs(step) < 1e-9:
            break
    agreement = sign * float((weights * np.cos(phase + omega * delay)).sum()) / total
    return FineDelay(delay, sign, min(max(agreement, 0.0), 1.0))


def is_period(near: FineDelay, far: FineDelay) -> bool:
    """True if a period of the music lies between two lags: the phases agree as well at the near one."""
    return abs(near.delay_samples) <= REPEAT_FRAMES and near.confidence >= far.confidence - _SAME_CONFIDENCE

"""snr_estimate_db: sound over its own stationary noise floor, without a reference.

The floor is looked for where each frequency is quietest, as minimum statistics do (Martin, "Noise power
spectral density estimation based on optimal smoothing and minimum statistics", IEEE Trans. SAP 9(5), 2001):
the 10 % quantile of a bin's power over the whole recording. For stationary Gaussian noise that quantile is
known, -9.77 dB under the mean (power is exponentially distributed), so the mean follows from it. Music
without pauses hides its floor and counts as noise then: the figure is a lower bound.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import fft_length, frame_power, power_floor

_QUANTILE = 0.1
#: 10 lg of -ln(1 - 0.1): the quantile of an exponential distribution over its mean.
_QUANTILE_DB = 10.0 * math.log10(-math.log1p(-_QUANTILE))
#: A steady tone is no noise: the floor is the median over so many bins.
_MEDIAN_BINS = 31
#: Histogram of each bin's level, from this far under the mean bin in steps.
_LOWEST_DB, _STEP_DB, _STEPS = -150.0, 0.5, 400
#: What is quieter than the histogram reaches is digital silence: pauses cut out, which say nothing.
_FEWEST_FRAMES = 50


def snr_estimate_db(buffer: AudioBuffer) -> float | None:
    """Power of the sound over the power of its floor in dB; None for silence and for less than 2 s or so.

    Frames of digital silence are left out, so that a gated stem is judged by its sounding parts.
    """
    length = fft_length(buffer.sample_rate)
    bins = length // 2 + 1
    mean = power_floor(buffer, length, 0.0)
    lowest = mean * 10.0 ** (_LOWEST_DB / 10.0)
    histogram = np.zeros(bins * _STEPS, np.int64)
    offsets = np.arange(bins) * _STEPS
    total: npt.NDArray[np.float64] = np.zeros(bins)
    count = 0
    # Frames side by side, for the quantile's sake independent of each other.
    for power in frame_power(buffer, length, length // 2):
        frames = power.reshape(-1, bins)
        frames = frames[frames.mean(1) > lowest]
        levels = 10.0 * np.log10(np.maximum(frames, np.float32(lowest)) / np.float32(mean))
        steps = np.clip((levels - _LOWEST_DB) / _STEP_DB, 0, _STEPS - 1).astype(np.int64)
        histogram += np.bincount((steps + offsets).ravel(), minlength=len(histogram))
        total += frames.sum(0, dtype=np.float64)
        count += len(frames)
    if count < _FEWEST_FRAMES:
        return None
    floor = _floor_power(histogram.reshape(bins, _STEPS), count) * mean * count
    # The sound is what is left of all there is; where hardly anything is left, it is about as loud as noise.
    sound = max(float(total.sum()) - float(floor.sum()), 1e-6 * float(total.sum()))
    return 10.0 * math.log10(sound / max(float(floor.sum()), 1e-30))


def _floor_power(histogram: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Mean power of the noise per bin, relative to the mean bin."""
    from scipy.ndimage import median_filter

    before = np.cumsum(histogram, axis=1)
    target = _QUANTILE * count
    step = np.argmax(before >= target, axis=1)
    rows = np.arange(len(histogram))
    inside = (target - (before[rows, step] - histogram[rows, step])) / np.maximum(histogram[rows, step], 1)
    level = _LOWEST_DB + (step + inside) * _STEP_DB - _QUANTILE_DB
    level = np.minimum(level, median_filter(level, _MEDIAN_BINS, mode="nearest"))
    return np.asarray(10.0 ** (level / 10.0))

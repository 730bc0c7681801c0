"""mr_stft_distance: distance of magnitudes at several resolutions at once, which one window can't fool.

Yamamoto, Song and Kim, "Parallel WaveGAN", ICASSP 2020: per resolution the spectral convergence and the mean
absolute difference of log magnitudes, summed, and averaged over three resolutions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import fft_length, paired_power, power_floor, require_pair

#: Windows of 512, 1024 and 2048 samples at 44.1 kHz, with hops of a quarter.
WINDOWS_S = (0.0116, 0.0232, 0.0464)
#: Bins so far under the reference's mean bin count as silent in both.
FLOOR_DB = 72.0


@dataclass(frozen=True)
class MultiResolutionDistance:
    """Means over the resolutions; all are 0 for identical magnitudes."""

    #: ||Y| - |X|| / ||X||, Frobenius norms.
    spectral_convergence: float
    #: Mean of |ln |Y| - ln |X||, in nepers (1 neper is 8.7 dB).
    log_magnitude: float

    @property
    def distance(self) -> float:
        """The sum of both."""
        return self.spectral_convergence + self.log_magnitude


def mr_stft_distance(reference: AudioBuffer, estimate: AudioBuffer) -> MultiResolutionDistance:
    """Distance of the magnitudes of the two; a difference of level counts, phase does not.

    Raises:
        OptionError: the two differ in rate, channels or length.
    """
    require_pair(reference, estimate)
    results = [_one_resolution(reference, estimate, seconds) for seconds in WINDOWS_S]
    convergence = sum(value for value, _ in results) / len(results)
    return MultiResolutionDistance(convergence, sum(value for _, value in results) / len(results))


def _one_resolution(reference: AudioBuffer, estimate: AudioBuffer, seconds: float) -> tuple[float, float]:
    length = fft_length(reference.sample_rate, seconds)
    floor = np.float32(power_floor(reference, length, FLOOR_DB))
    error = energy = logs = 0.0
    count = 0
    for truth, power in paired_power(reference, estimate, length, length // 4):
        difference = np.sqrt(power) - np.sqrt(truth)
        error += float(np.square(difference, dtype=np.float64).sum())
        energy += float(truth.sum(dtype=np.float64))
        # Half, since the logarithms are of powers.
        logs += 0.5 * float(np.abs(np.log((power + floor) / (truth + floor))).sum(dtype=np.float64))
        count += truth.size
    if energy == 0.0:
        return (0.0 if error == 0.0 else math.inf), logs / count
    return math.sqrt(error / energy), logs / count

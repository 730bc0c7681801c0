"""log_mel_distance_db: how far apart two recordings lie on the ear's scale of pitch, frame by frame.

The mean absolute difference of log mel spectra, as neural codecs are graded by (Kumar et al., "High-fidelity
audio compression with improved RVQGAN", 2023), with 80 bands in dB. The filters are those of Slaney's
Auditory Toolbox (1998): triangles on his mel scale, of equal area.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import bin_frequencies, fft_length, paired_power, power_floor, require_pair

BANDS = 80
HIGHEST_HZ = 20000.0
#: A band so far under the reference's mean band counts as silent in both.
FLOOR_DB = 70.0

#: Slaney's scale is linear below 1 kHz, 200/3 Hz a step, and logarithmic above, 27 steps to the factor 6.4.
_STEP_HZ = 200.0 / 3.0
_CORNER_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def log_mel_distance_db(reference: AudioBuffer, estimate: AudioBuffer, bands: int = BANDS) -> float:
    """Mean over frames, bands and channels of |difference| in dB; a difference of level counts.

    A window of about 46 ms with a hop of a quarter.

    Raises:
        OptionError: the two differ in rate, channels or length.
    """
    require_pair(reference, estimate)
    rate = reference.sample_rate
    length = fft_length(rate)
    filters = mel_filters(rate, length, bands).T
    # The mean bin's power through the mean filter, so that the floor is one of a band.
    floor = np.float32(power_floor(reference, length, FLOOR_DB) * filters.sum(0).mean())
    total, count = 0.0, 0
    for truth, power in paired_power(reference, estimate, length, length // 4):
        difference = 10.0 * np.log10((power @ filters + floor) / (truth @ filters + floor))
        total += float(np.abs(difference).sum(dtype=np.float64))
        count += difference.size
    return total / count


def mel_filters(sample_rate: int, length: int, bands: int = BANDS) -> npt.NDArray[np.float32]:
    """Triangular filters from 0 to 20 kHz (or half the rate), shape (bands, length // 2 + 1).

    A band too narrow to hold a bin, as at the low end of short windows, takes the bin nearest to its middle.
    """
    frequencies = bin_frequencies(sample_rate, length)
    top = min(HIGHEST_HZ, sample_rate / 2)
    edges = _to_hz(np.linspace(0.0, _to_mel(top), bands + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (middle - low)
    falling = (high - frequencies) / (high - middle)
    filters = np.maximum(np.minimum(rising, falling), 0.0) * 2.0 / (high - low)
    for index in np.flatnonzero(filters.sum(1) == 0.0):
        nearest = int(np.argmin(np.abs(frequencies - edges[index + 1])))
        filters[index, nearest] = 2.0 / float(edges[index + 2] - edges[index])
    return filters.astype(np.float32)


def _to_mel(hz: float) -> float:
    if hz < _CORNER_HZ:
        return hz / _STEP_HZ
    return _CORNER_HZ / _STEP_HZ + float(np.log(hz / _CORNER_HZ) / _LOG_STEP)


def _to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    corner = _CORNER_HZ / _STEP_HZ
    above = _CORNER_HZ * np.exp(_LOG_STEP * np.maximum(mel - corner, 0.0))
    return np.where(mel < corner, mel * _STEP_HZ, above)

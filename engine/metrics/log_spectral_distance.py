"""log_spectral_distance: how far apart two recordings' spectra lie, frame by frame, in dB and per band.

Gray and Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24(5), 1976: the root mean square
over frequency of the difference of log spectra, here averaged over STFT frames and channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import (
    bin_frequencies,
    fft_length,
    paired_power,
    power_floor,
    require_pair,
)

#: Bands that are looked at one by one; the last ends at 20 kHz or at half the sample rate.
BANDS_HZ = ((0.0, 250.0), (250.0, 2000.0), (2000.0, 5000.0), (5000.0, 10000.0), (10000.0, 20000.0))
#: Everything up to here counts in the whole distance.
HIGHEST_HZ = 20000.0
#: Bins so far under the reference's mean bin count as silent in both.
FLOOR_DB = 72.0


@dataclass(frozen=True)
class BandDistance:
    """Distance within `low_hz <= f < high_hz`."""

    low_hz: float
    high_hz: float
    distance_db: float


@dataclass(frozen=True)
class SpectralDistance:
    """Distance over all frequencies, and per band; 0 is identical magnitudes."""

    distance_db: float
    bands: tuple[BandDistance, ...]


def log_spectral_distance(
    reference: AudioBuffer,
    estimate: AudioBuffer,
    bands_hz: Sequence[tuple[float, float]] = BANDS_HZ,
) -> SpectralDistance:
    """Distance of the magnitudes of the two; a difference of level counts, phase does not.

    A window of about 46 ms (2048 at 44.1 kHz) with a hop of a quarter. Bands without a bin below half the
    sample rate are left out.

    Raises:
        OptionError: the two differ in rate, channels or length.
    """
    require_pair(reference, estimate)
    rate = reference.sample_rate
    length = fft_length(rate)
    floor = np.float32(power_floor(reference, length, FLOOR_DB))
    frequencies = bin_frequencies(rate, length)
    wanted = [(0.0, HIGHEST_HZ), *bands_hz]
    masks = [(frequencies >= low) & (frequencies < high) for low, high in wanted]
    kept = [index for index, mask in enumerate(masks) if mask.any()]
    # Sums over a run of bins by one product with the masks.
    share = np.stack([masks[index] / np.count_nonzero(masks[index]) for index in kept], axis=1)
    sums: npt.NDArray[np.float64] = np.zeros(len(kept))
    count = 0
    for truth, power in paired_power(reference, estimate, length, length // 4):
        difference = 10.0 * np.log10((power + floor) / (truth + floor))
        sums += np.sqrt(np.square(difference) @ share).sum((0, 1))
        count += truth.shape[0] * truth.shape[1]
    distances = sums / count
    bands = tuple(
        BandDistance(wanted[index][0], min(wanted[index][1], rate / 2), float(distance))
        for index, distance in list(zip(kept, distances, strict=True))[1:]
    )
    return SpectralDistance(float(distances[0]), bands)

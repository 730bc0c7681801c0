"""mono_loss: what disappears when the two channels are summed to mono, and in which third of an octave most.

Per band |L + R|^2 over 2 (|L|^2 + |R|^2): 0 dB for equal channels, -3 for unrelated ones, minus infinity for
inverted ones. The check of an effect against its input is another one, in `engine.alignment.mono`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import bin_frequencies

#: Thirds of an octave from 25 Hz to 20 kHz, as 1 kHz * 2 ** (n / 3).
_LOWEST_BAND, _HIGHEST_BAND = -16, 13
#: Bands so far under the loudest are not heard.
_RANGE_DB = 40.0
_WINDOW_S = 0.2
#: Stands for a band that vanishes.
_FLOOR_DB = -200.0


@dataclass(frozen=True)
class MonoLoss:
    """In dB, 0 is no loss; -3 is what unrelated channels lose."""

    whole_db: float
    worst_band_db: float
    worst_band_hz: float


def mono_loss(buffer: AudioBuffer) -> MonoLoss | None:
    """Of the whole recording; None unless it has two channels and sound."""
    from scipy.fft import rfft

    if buffer.channels != 2:
        return None
    length = 2 ** round(math.log2(_WINDOW_S * buffer.sample_rate))
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    summed: npt.NDArray[np.float64] = np.zeros(length // 2 + 1)
    separate = np.zeros_like(summed)
    for start in range(0, max(buffer.frames - length // 2, 1), length // 2):
        spectra = rfft(buffer.read(start, start + length) * window, axis=1)
        summed += np.square(np.abs(spectra[0] + spectra[1]))
        separate += 2.0 * np.square(np.abs(spectra)).sum(0)
    frequencies = bin_frequencies(buffer.sample_rate, length)
    edge = 2.0 ** (1.0 / 6.0)
    bands = []
    for index in range(_LOWEST_BAND, _HIGHEST_BAND + 1):
        centre = 1000.0 * 2.0 ** (index / 3.0)
        inside = (frequencies >= centre / edge) & (frequencies < centre * edge)
        bands.append((centre, float(summed[inside].sum()), float(separate[inside].sum())))
    loudest = max(power for _, _, power in bands)
    if loudest <= 0.0:
        return None
    heard = [band for band in bands if band[2] > loudest * 10.0 ** (-_RANGE_DB / 10.0)]
    worst_hz, worst_db = min(
        ((hz, _ratio_db(mono, all_)) for hz, mono, all_ in heard), key=lambda band: band[1]
    )
    return MonoLoss(_ratio_db(float(summed.sum()), float(separate.sum())), worst_db, worst_hz)


def _ratio_db(value: float, over: float) -> float:
    return max(10.0 * math.log10(value / over), _FLOOR_DB) if value > 0.0 else _FLOOR_DB

"""total_harmonic_distortion: harmonics of a steady tone over its fundamental, where there is such a tone.

IEC 60268-3 with the fundamental as the base (THD_F): the root of the sum of the powers of the 2nd to 10th
harmonic over the amplitude of the fundamental. It means something for a test tone only; music has harmonics
of its own, so most recordings get no figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import mean_square

HARMONICS = 10
#: The tone's fundamental must hold this share of all power.
_TONE_SHARE = 0.7
#: Windows of a second and a half; 4-term Blackman-Harris, whose sidelobes are below -92 dB.
_WINDOW_S = 1.5
_COSINES = (0.35875, 0.48829, 0.14128, 0.01168)
#: Half the width of its main lobe, in bins.
_LOBE_BINS = 5
_LOWEST_HZ = 20.0


@dataclass(frozen=True)
class HarmonicDistortion:
    """Of a steady tone at `fundamental_hz`."""

    fundamental_hz: float
    #: 100 % is harmonics as strong as the fundamental.
    thd_percent: float
    #: The same in dB; -200 where there are none.
    thd_db: float


def total_harmonic_distortion(buffer: AudioBuffer) -> HarmonicDistortion | None:
    """THD over all channels; None unless one steady tone holds most of the power.

    Harmonics at and above half the sample rate are not counted.
    """
    rate = buffer.sample_rate
    length = min(2 ** round(math.log2(_WINDOW_S * rate)), 2 ** int(math.log2(max(buffer.frames, 2))))
    if length < 1024 or mean_square(buffer) <= 0.0:
        return None
    power = _mean_power(buffer, length)
    hz_per_bin = rate / length
    first = max(math.ceil(_LOWEST_HZ / hz_per_bin), _LOBE_BINS)
    peak = first + int(np.argmax(power[first:-_LOBE_BINS]))
    fundamental = _lobe(power, peak)
    if fundamental < _TONE_SHARE * float(power[1:].sum()):
        return None
    around = np.arange(peak - _LOBE_BINS, peak + _LOBE_BINS + 1)
    position = float((power[around] * around).sum() / power[around].sum())
    harmonics = 0.0
    for order in range(2, HARMONICS + 1):
        middle = round(order * position)
        if middle + _LOBE_BINS >= len(power):
            break
        harmonics += _lobe(power, middle)
    ratio = math.sqrt(harmonics / fundamental)
    thd_db = max(20.0 * math.log10(ratio), -200.0) if ratio > 0.0 else -200.0
    return HarmonicDistortion(position * hz_per_bin, 100.0 * ratio, thd_db)


def _lobe(power: npt.NDArray[np.float64], middle: int) -> float:
    """Power of the line whose main lobe lies around bin `middle`."""
    return float(power[max(middle - _LOBE_BINS, 0) : middle + _LOBE_BINS + 1].sum())


def _mean_power(buffer: AudioBuffer, length: int) -> npt.NDArray[np.float64]:
    from scipy.fft import rfft

    angles = 2.0 * np.pi * np.arange(length) / length
    window = sum((-1) ** k * a * np.cos(k * angles) for k, a in enumerate(_COSINES))
    total: npt.NDArray[np.float64] = np.zeros(length // 2 + 1)
    for start in range(0, max(buffer.frames - length, 0) + 1, length // 2):
        block = buffer.read(start, start + length).astype(np.float64)
        total += np.square(np.abs(rfft(block * window, axis=1))).sum(0)
    return total

"""Filters: magnitudes of equaliser bands, and linear-phase FIR filters made from them.

Bells and shelves follow R. Bristow-Johnson's audio EQ cookbook; passes are Butterworth filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from engine.audio.buffer import Audio

Kind = Literal["bell", "low_shelf", "high_shelf", "high_pass", "low_pass"]
Doubles = npt.NDArray[np.float64]

#: Length of the FIR filters on either side of their centre: enough to shape 20 Hz.
HALF_LENGTH_S = 0.093
#: Bands at or above this share of the Nyquist frequency are left out.
_HIGHEST = 0.98


class Band(BaseModel):
    """One band of an equaliser."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    #: Centre of a bell, middle of a shelf's slope, -3 dB point of a pass.
    frequency_hz: float = Field(ge=5.0, le=96_000.0)
    #: Of bells and shelves.
    gain_db: float = Field(0.0, ge=-24.0, le=24.0)
    #: Of bells and shelves.
    q: float = Field(0.7071, ge=0.1, le=16.0)
    #: Of passes, in dB per octave.
    slope: Literal[12, 24, 36, 48] = 12

    @property
    def neutral(self) -> bool:
        """True if it changes nothing."""
        return self.kind in ("bell", "low_shelf", "high_shelf") and self.gain_db == 0.0


def active_bands(bands: Sequence[Band], sample_rate: int) -> tuple[Band, ...]:
    """The bands that do something at this rate."""
    return tuple(b for b in bands if not b.neutral and b.frequency_hz < _HIGHEST * sample_rate / 2)


def biquads(bands: Sequence[Band], sample_rate: int) -> Doubles:
    """Minimum-phase second-order sections of all bands, shape (sections, 6)."""
    return np.concatenate([_sections(band, sample_rate) for band in bands])


def magnitude(bands: Sequence[Band], sample_rate: int) -> Callable[[Doubles], Doubles]:
    """The product of the bands' magnitudes as a function of the frequency in Hz."""
    from scipy.signal import sosfreqz

    sections = biquads(bands, sample_rate)

    def of(frequency_hz: Doubles) -> Doubles:
        _, response = sosfreqz(sections, frequency_hz, fs=sample_rate)
        absolute: Doubles = np.abs(response)
        return absolute

    return of


def linear_phase(of: Callable[[Doubles], Doubles], sample_rate: int) -> npt.NDArray[np.float32]:
    """Symmetric FIR filter with the magnitude `of(frequency_hz)`; its centre tap is the time of the input."""
    half = max(round(HALF_LENGTH_S * sample_rate), 16)
    size = 1 << (4 * half).bit_length()
    frequencies: Doubles = np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate / size)
    impulse = np.fft.irfft(of(frequencies), size)
    taps = np.concatenate((impulse[-half:], impulse[: half + 1]))
    # A gentle window: only what the cut at its ends would ripple.
    return (taps * np.kaiser(2 * half + 1, 4.0)).astype(np.float32)


def zero_phase(audio: Audio, taps: npt.NDArray[np.float32]) -> Audio:
    """`audio` through `taps` without delay, same shape; both ends lack half its length of context."""
    from scipy.signal import oaconvolve

    filtered: Audio = oaconvolve(audio, taps[None], mode="same", axes=-1)
    return filtered


def _sections(band: Band, sample_rate: int) -> Doubles:
    if band.kind in ("high_pass", "low_pass"):
        from scipy.signal import butter

        kind = "highpass" if band.kind == "high_pass" else "lowpass"
        sections: Doubles = butter(band.slope // 6, band.frequency_hz, kind, fs=sample_rate, output="sos")
        return sections
    w = 2 * np.pi * band.frequency_hz / sample_rate
    a = 10 ** (band.gain_db / 40)
    cos, alpha = np.cos(w), np.sin(w) / (2 * band.q)
    if band.kind == "bell":
        numerator = (1 + alpha * a, -2 * cos, 1 - alpha * a)
        denominator = (1 + alpha / a, -2 * cos, 1 - alpha / a)
    else:
        # The cookbook's high shelf is its low shelf with the sign of the cosine turned.
        sign = 1.0 if band.kind == "low_shelf" else -1.0
        c, beta = sign * cos, 2 * np.sqrt(a) * alpha
        numerator = (
            a * ((a + 1) - (a - 1) * c + beta),
            sign * 2 * a * ((a - 1) - (a + 1) * c),
            a * ((a + 1) - (a - 1) * c - beta),
        )
        denominator = (
            (a + 1) + (a - 1) * c + beta,
            sign * -2 * ((a - 1) + (a + 1) * c),
            (a + 1) + (a - 1) * c - beta,
        )
    biquad: Doubles = np.array([(*numerator, *denominator)]) / denominator[0]
    return biquad

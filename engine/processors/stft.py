"""Short-time Fourier transform in float32 on one grid for the whole recording, whatever the block.

Blocks start on multiples of `GRID_FRAMES`, every hop length here divides that, and effects read more than one
window of context; so the frames of a block are the same frames of the recording however it was cut.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import GRID_FRAMES, Audio, AudioBuffer

Spectrum = npt.NDArray[np.complex64]

#: Samples that statistics are taken of at a time.
_STATISTICS_FRAMES = 1 << 17


def window_length(sample_rate: int, seconds: float = 0.0464) -> int:
    """The power of two nearest to `seconds`: 2048 at 44.1 and 48 kHz, scaled with the rate."""
    return int(min(max(2 ** round(math.log2(seconds * sample_rate)), 64), 4 * GRID_FRAMES))


@lru_cache(maxsize=16)
def root_hann(length: int) -> npt.NDArray[np.float32]:
    """Square root of the periodic Hann window: its square sums to a constant at 75 % overlap."""
    # sqrt(hann) is a half sine.
    window = np.sin(np.pi * np.arange(length) / length).astype(np.float32)
    window.flags.writeable = False
    return window


def stft(audio: Audio, length: int, hop: int) -> Spectrum:
    """Spectrum of `audio`, shape (channels, n), as (channels, frames, length // 2 + 1); no padding.

    Frame j starts at sample j * hop; samples after the last whole frame are not seen.
    """
    from scipy.fft import rfft

    bins = length // 2 + 1
    if audio.shape[1] < length:
        return np.zeros((audio.shape[0], 0, bins), np.complex64)
    frames = np.lib.stride_tricks.sliding_window_view(audio, length, axis=1)[:, ::hop]
    spectrum: Spectrum = rfft(frames * root_hann(length), axis=-1, overwrite_x=True)
    return spectrum


def istft(spectrum: Spectrum, length: int, hop: int, samples: int) -> Audio:
    """The inverse of `stft` with hop = length / 4, shape (channels, samples).

    The first and the last `length` samples are not covered by all frames: they belong to the context.
    """
    from scipy.fft import irfft

    channels, frames, _ = spectrum.shape
    out = np.zeros((channels, max(samples, hop * (frames - 1) + length)), np.float32)
    if frames == 0:
        return out[:, :samples]
    pieces = irfft(spectrum, length, axis=-1)
    pieces *= root_hann(length) * np.float32(2 * hop / length)
    overlap = length // hop
    # Every overlap-th frame lies end to end, so they are added in `overlap` strides.
    for offset in range(overlap):
        strip = pieces[:, offset::overlap]
        at = out[:, offset * hop : offset * hop + strip.shape[1] * length]
        np.add(at.reshape(strip.shape), strip, out=at.reshape(strip.shape))
    return out[:, :samples]


def mean_power(source: AudioBuffer, length: int, band: slice = slice(None)) -> float:
    """Mean power per bin of `band` over the whole recording, in windows side by side; 0 of nothing."""
    total, count = 0.0, 0
    for start in range(0, source.frames, _STATISTICS_FRAMES):
        block = source.read(start, min(start + _STATISTICS_FRAMES, source.frames))
        part = stft(block, length, length)[:, :, band]
        total += float((np.square(part.real) + np.square(part.imag)).sum(dtype=np.float64))
        count += part.shape[1] * part.shape[2]
    return total / count if count else 0.0

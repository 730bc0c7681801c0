"""Power spectra of a recording, frame by frame and in bounded memory: what most measures here are made of."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import BLOCK_FRAMES, AudioBuffer
from engine.errors import OptionError

Power = npt.NDArray[np.float32]

#: STFT frames per batch: small enough for the processor's cache, large enough for numpy.
_BATCH_FRAMES = 64


def fft_length(sample_rate: int, seconds: float = 0.0464) -> int:
    """The power of two nearest to `seconds`, 64 at the least: 2048 at 44.1 and 48 kHz by default."""
    return int(max(2 ** round(math.log2(seconds * sample_rate)), 64))


def frame_count(frames: int, length: int, hop: int) -> int:
    """STFT frames in a recording of `frames` frames: all that lie in it whole, one at the least."""
    return max(1 + (frames - length) // hop, 1)


def frame_power(buffer: AudioBuffer, length: int, hop: int, batch: int = _BATCH_FRAMES) -> Iterator[Power]:
    """|STFT|^2 with a Hann window, in batches of shape (channels, n, length // 2 + 1).

    Frame j starts at sample j * hop. A recording shorter than one window is padded with zeros.
    """
    from scipy.fft import rfft

    window = hann(length)
    count = frame_count(buffer.frames, length, hop)
    for first in range(0, count, batch):
        size = min(batch, count - first)
        audio = buffer.read(first * hop, (first + size - 1) * hop + length)
        pieces = np.lib.stride_tricks.sliding_window_view(audio, length, axis=1)[:, ::hop]
        spectrum = rfft(pieces * window, axis=-1, overwrite_x=True)
        yield np.square(spectrum.real) + np.square(spectrum.imag)


def paired_power(
    reference: AudioBuffer, estimate: AudioBuffer, length: int, hop: int
) -> Iterator[tuple[Power, Power]]:
    """`frame_power` of both, side by side."""
    yield from zip(frame_power(reference, length, hop), frame_power(estimate, length, hop), strict=True)


def power_floor(buffer: AudioBuffer, length: int, below_db: float) -> float:
    """`below_db` under the mean power of a bin in `frame_power(buffer, length, ...)`; tiny for silence.

    It keeps logarithms finite, and what nobody hears out of a distance. By Parseval's theorem the mean power
    of a bin is the mean square of the samples times the energy of the window.
    """
    mean = mean_square(buffer) * float(np.square(hann(length), dtype=np.float64).sum())
    return float(max(mean * 10.0 ** (-below_db / 10.0), 1e-30))


def mean_square(buffer: AudioBuffer) -> float:
    """Mean square of all samples."""
    total = 0.0
    for _, block in buffer.blocks(BLOCK_FRAMES):
        total += float(np.square(block, dtype=np.float64).sum())
    return total / max(buffer.channels * buffer.frames, 1)


def bin_frequencies(sample_rate: int, length: int) -> npt.NDArray[np.float64]:
    """Frequency of every bin in Hz."""
    return np.asarray(np.fft.rfftfreq(length, 1.0 / sample_rate))


def hann(length: int) -> Power:
    """Periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(length) / length), np.float32)


def require_pair(reference: AudioBuffer, estimate: AudioBuffer) -> None:
    """Raise OptionError unless both have the same rate, channels and length, and at least one frame."""
    ours = (estimate.sample_rate, estimate.channels, estimate.frames)
    theirs = (reference.sample_rate, reference.channels, reference.frames)
    if ours != theirs or not reference.frames:
        raise OptionError(
            f"{_shape(estimate)} can't be measured against a reference of {_shape(reference)}.",
            "Both must have the same sample rate, channels and length, and hold a sample at least.",
        )


def _shape(buffer: AudioBuffer) -> str:
    return f"{buffer.frames} frames, {buffer.channels} channel(s) at {buffer.sample_rate} Hz"

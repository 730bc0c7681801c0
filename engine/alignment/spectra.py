"""Welch cross-spectra of two recordings, streamed: the sums that every alignment measure is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer

Spectrum = npt.NDArray[np.complex64]
Real = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

#: Welch frames per batch: small enough for the processor's cache, large enough for numpy.
_BATCH_FRAMES = 16
#: Makes 4096 frames at 44.1 kHz, 93 ms: long against any delay that is left over and fine enough for bass,
#: short enough that a gate or a compressor seldom changes its gain within a window.
_WINDOW_S = 0.07
_SHORTEST_WINDOW = 64


@dataclass
class CrossSpectra:
    """Sums over all Welch frames, per view; each array has the shape (views, bins)."""

    #: Names of the views, and which of them make up the whole recording in two ways.
    names: tuple[str, ...]
    frequencies_hz: Real
    window_length: int
    #: |X|^2 of the reference.
    reference: Real
    #: |Y|^2 of the other.
    other: Real
    #: Y conj(X).
    cross: Complex
    #: |Y| |X|: what |cross| would be, were the phase between the two the same in every frame.
    magnitude: Real
    frames: int

    @property
    def channels(self) -> int:
        """Count of views that are channels; mid and side come after them."""
        return len(self.names) - 2 if "mid" in self.names else len(self.names)

    @property
    def channels_only(self) -> slice:
        """The views that are channels."""
        return slice(0, self.channels)

    @property
    def bases(self) -> list[slice]:
        """The sets of views that each hold the whole recording: its channels, and mid with side."""
        return [self.channels_only, slice(2, 4)] if "mid" in self.names else [self.channels_only]


def window_length(frames: int, sample_rate: int, window_s: float = _WINDOW_S) -> int:
    """FFT length: the power of two above `window_s` seconds, or less so that four windows fit."""
    longest = 1 << int(np.ceil(np.log2(window_s * sample_rate)))
    quarter = 1 << max(int(np.log2(max(frames, 4) / 4)), 0)
    return max(min(longest, quarter), _SHORTEST_WINDOW)


def paired_range(reference: AudioBuffer, other: AudioBuffer, lag: int) -> tuple[int, int]:
    """[start, stop) of the reference's frames n for which `other` has a frame n + lag."""
    start = max(0, -lag)
    return start, max(min(reference.frames, other.frames - lag), start)


def stream_frames(
    reference: AudioBuffer, other: AudioBuffer, lag: int, start: int, stop: int, length: int
) -> Iterator[tuple[Spectrum, Spectrum]]:
    """Spectra of Hann-windowed frames that overlap by half: reference from `start`, other from `start + lag`.

    Yields arrays of shape (channels, frames, length // 2 + 1). A range shorter than one window is padded with
    zeros to one frame.
    """
    from scipy.fft import rfft

    hop = length // 2
    count = max(1 + (stop - start - length) // hop, 1)
    window = np.hanning(length + 1)[:-1].astype(np.float32)

    def spectra(audio: Audio) -> Spectrum:
        frames = np.lib.stride_tricks.sliding_window_view(audio, length, axis=-1)[:, ::hop]
        return np.asarray(rfft(frames * window, axis=-1), np.complex64)

    for first in range(0, count, _BATCH_FRAMES):
        size = (min(_BATCH_FRAMES, count - first) + 1) * hop
        begin = start + first * hop
        x, y = reference.read(begin, begin + size), other.read(begin + lag, begin + lag + size)
        if stop - begin < size:
            x[:, stop - begin :], y[:, stop - begin :] = 0.0, 0.0
        yield spectra(x), spectra(y)


def cross_spectra(
    reference: AudioBuffer,
    other: AudioBuffer,
    lag: int,
    span: tuple[int, int] | None = None,
    window_s: float = _WINDOW_S,
    mid_side: bool = True,
) -> CrossSpectra:
    """Sum the cross-spectra of `reference` and of `other` shifted earlier by `lag` frames.

    Args:
        reference: shape (channels, frames).
        other: the same channel count; the length may differ.
        lag: whole frames by which `other` is late.
        span: [start, stop) in the reference's frames; all that both have by default.
        window_s: Welch window in seconds at least.
        mid_side: add mid and side to the views of a stereo pair.
    """
    low, high = paired_range(reference, other, lag)
    start, stop = (low, high) if span is None else (max(span[0], low), min(span[1], high))
    length = window_length(stop - start, reference.sample_rate, window_s)
    channels, stereo = reference.channels, reference.channels == 2 and mid_side
    views, bins = channels + 2 * stereo, length // 2 + 1
    sums = np.zeros((3, views, bins))
    cross = np.zeros((views, bins), np.complex128)
    count = 0
    for x, y in stream_frames(reference, other, lag, start, max(stop, start), length):
        for view in range(views):
            a, b = _view(x, view), _view(y, view)
            product = b * a.conj()
            power_a, power_b = _power(a), _power(b)
            sums[0, view] += power_a.sum(0, dtype=np.float64)
            sums[1, view] += power_b.sum(0, dtype=np.float64)
            sums[2, view] += np.sqrt(power_a * power_b).sum(0, dtype=np.float64)
            cross[view] += product.sum(0, dtype=np.complex128)
        count += x.shape[1]
    frequencies: Real = np.arange(bins, dtype=np.float64) * (reference.sample_rate / length)
    names = view_names(channels) if stereo else view_names(channels)[:channels]
    return CrossSpectra(names, frequencies, length, sums[0], sums[1], cross, sums[2], count)


def view_names(channels: int) -> tuple[str, ...]:
    """What the views of a recording are called."""
    if channels == 1:
        return ("mono",)
    if channels == 2:
        return ("left", "right", "mid", "side")
    return tuple(f"channel {index + 1}" for index in range(channels))


def _view(spectra: Spectrum, view: int) -> Spectrum:
    if view < spectra.shape[0]:
        return np.asarray(spectra[view])
    left, right = spectra
    mixed = left + right if view == 2 else left - right
    return np.asarray(mixed * np.float32(np.sqrt(0.5)))


def _power(spectra: Spectrum) -> npt.NDArray[np.float32]:
    return np.asarray(np.square(spectra.real) + np.square(spectra.imag))

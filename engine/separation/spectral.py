"""Spectral: the transforms around a hybrid transformer, in NumPy, as demucs' own do them in torch.

The network takes a segment and its spectrogram, and gives a waveform and a spectrogram per source that are to
be summed. The spectrogram's real and imaginary parts are channels ("complex as channels" in demucs). Windows
lie a quarter of their length apart, the signal is mirrored at both ends, and the Nyquist bin is dropped. The
outermost windows are left out, so a segment's ends don't survive the way there and back; what the network
gives there is weighed least in the overlap-add.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio

#: Hann windows squared sum to this at a hop of a quarter of their length.
_OVERLAP_GAIN = 1.5


@dataclass(frozen=True)
class Spectral:
    """The transforms for segments of `frames` samples with windows of `n_fft` samples."""

    n_fft: int
    frames: int

    @property
    def hop_length(self) -> int:
        """Samples from one window to the next."""
        return self.n_fft // 4

    @property
    def columns(self) -> int:
        """Windows per segment."""
        return math.ceil(self.frames / self.hop_length)

    def analyse(self, segment: Audio) -> Audio:
        """(channels, frames) -> (2 * channels, n_fft // 2, columns)."""
        from scipy.fft import rfft

        margin = self.hop_length // 2 * 3
        beyond = margin + self.columns * self.hop_length - self.frames
        mirrored = np.pad(segment, ((0, 0), (margin, beyond)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(mirrored, self.n_fft, axis=-1)
        spectrum = rfft(windows[:, :: self.hop_length] * (self._window() / math.sqrt(self.n_fft)))
        parts = np.stack([spectrum.real, spectrum.imag], axis=1)[..., :-1]
        return np.ascontiguousarray(parts.reshape(-1, *parts.shape[2:]).swapaxes(-1, -2))

    def synthesise(self, parts: Audio) -> Audio:
        """(sources, 2 * channels, n_fft // 2, columns) -> (sources, channels, frames)."""
        from scipy.fft import irfft

        sources, doubled, bins, columns = parts.shape
        spectrum: npt.NDArray[np.complex64] = np.zeros(
            (sources, doubled // 2, columns, bins + 1), np.complex64
        )
        spectrum.real[..., :-1] = parts[:, 0::2].swapaxes(-1, -2)
        spectrum.imag[..., :-1] = parts[:, 1::2].swapaxes(-1, -2)
        windows = irfft(spectrum) * (self._window() * (math.sqrt(self.n_fft) / _OVERLAP_GAIN))
        quarters = windows.reshape(*windows.shape[:-1], 4, self.hop_length)
        audio = np.zeros((*windows.shape[:2], columns + 3, self.hop_length), np.float32)
        for quarter in range(4):
            audio[:, :, quarter : quarter + columns] += quarters[..., quarter, :]
        margin = self.hop_length // 2 * 3
        return audio.reshape(*windows.shape[:2], -1)[..., margin : margin + self.frames]

    def _window(self) -> Audio:
        phase = 2 * np.pi * np.arange(self.n_fft) / self.n_fft
        return (0.5 - 0.5 * np.cos(phase)).astype(np.float32)

"""The residual, mix minus estimates: given back to the stems so that they sum to the mix, or kept as a stem.

No model's estimates sum to the mix; what is left over lies some 30 dB below it. Sharing it out in proportion
to the energy that each stem has at that time and frequency is mixture consistency (Wisdom et al. 2019,
"Differentiable consistency constraints for improved deep speech enhancement") with the energies as weights.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer

#: A model's band ends here, as a share of its Nyquist frequency: resampling filters take the rest.
_BAND_EDGE = 0.95
#: Energy per STFT bin and window frame under which a stem counts as silent: noise at -160 dBFS.
_SILENCE = 1e-16
#: The lowest level that is reported; a difference of exactly nothing has none.
_FLOOR_DB = -200.0

#: Length of a block in STFT windows; context adds 1.5 to it.
BLOCK_WINDOWS = 16

#: Every transform is one thread's, so that their number changes no result.
_THREADS = os.cpu_count() or 1

OnProgress = Callable[[int, int], None]


def _ignore(done: int, total: int) -> None:
    """No progress wanted."""


def share_residual(
    mix: AudioBuffer, stems: Mapping[str, AudioBuffer], model_rate: int, progress: OnProgress = _ignore
) -> float | None:
    """Turn estimates into stems that sum to the mix, in place, in blocks.

    Every bin of the residual's STFT is divided among the stems like their energies there, per channel. Above
    the band of a model that works at `model_rate` Hz, where the estimates hold nothing, the division is that
    of the octave below, so that the air of a cymbal returns to the cymbal. Where all are silent, shares are
    equal. What rounding leaves then goes to the loudest stem of the block, where it is masked: the sum misses
    the mix by half a float32 step of that stem, -144 dBFS or less for samples within +-2.

    Args:
        mix: the recording that was taken apart.
        stems: the estimates, of the mix's shape and rate; they are overwritten by the stems.
        model_rate: sample rate of the model, Hz.
        progress: called after each block with (frames done, frames in all); it may raise to stop.

    Returns:
        The level of `mix - sum(estimates)` relative to the mix in dB (RMS over the whole recording, at least
        -200), or None for a silent mix.
    """
    grid = _Grid.at(mix.sample_rate)
    top = min(int(_BAND_EDGE * model_rate / 2 * grid.n_fft / mix.sample_rate), grid.n_fft // 2)
    block_frames, context = BLOCK_WINDOWS * grid.n_fft, grid.n_fft - grid.hop_length
    level = _Level()
    # Stems are overwritten behind the reader; what the next block needs of the estimates is held here.
    held = np.stack([stem.read(-context, context) for stem in stems.values()])
    for start in range(0, mix.frames, block_frames):
        stop = min(start + block_frames, mix.frames)
        ahead = [stem.read(start + context, start + block_frames + context) for stem in stems.values()]
        estimates = np.concatenate([held, np.stack(ahead)], axis=-1)
        held = estimates[..., -2 * context :]
        around = mix.read(start - context, start + block_frames + context).astype(np.float64)
        residual = around - estimates.sum(axis=0, dtype=np.float64)

        here = slice(context, context + stop - start)
        level.add(around[:, here], residual[:, here])
        shared = _divide(estimates, residual.astype(np.float32), grid, top)[..., : stop - start]
        shared += estimates[..., here]
        loudest = int(np.square(shared).sum(axis=(1, 2)).argmax())
        others = np.delete(shared, loudest, axis=0).sum(axis=0, dtype=np.float64)
        shared[loudest] = around[:, here] - others
        for stem, block in zip(stems.values(), shared, strict=True):
            stem.write(start, block)
        progress(stop, mix.frames)
    return level.db


def split_residual(
    mix: AudioBuffer, stems: Mapping[str, AudioBuffer], into: AudioBuffer, progress: OnProgress = _ignore
) -> float | None:
    """Write `mix - sum(stems)` into `into` and leave the stems alone; returns as `share_residual` does."""
    level = _Level()
    for start, block in mix.blocks(BLOCK_FRAMES):
        stop = start + block.shape[1]
        residual = block.astype(np.float64)
        for stem in stems.values():
            residual -= stem.read(start, stop)
        level.add(block, residual)
        into.write(start, residual)
        progress(stop, mix.frames)
    return level.db


@dataclass(frozen=True)
class _Grid:
    """An STFT of about 93 ms with root-Hann windows, whose frames lie on one grid in every block."""

    n_fft: int
    hop_length: int
    window: Audio

    @classmethod
    def at(cls, sample_rate: int) -> _Grid:
        n_fft = int(2 ** max(round(math.log2(sample_rate * 4096 / 44_100)), 8))
        window = np.sin(np.pi * np.arange(n_fft) / n_fft).astype(np.float32)
        return cls(n_fft, n_fft // 4, window)

    def stft(self, audio: Audio) -> npt.NDArray[np.complex64]:
        """(..., n) -> (..., windows, bins); the first window begins at the first frame."""
        from scipy.fft import rfft

        windows = np.lib.stride_tricks.sliding_window_view(audio, self.n_fft, axis=-1)
        spectrum: npt.NDArray[np.complex64] = rfft(
            windows[..., :: self.hop_length, :] * self.window, workers=_THREADS
        )
        return spectrum

    def istft(self, spectrum: npt.NDArray[np.complex64]) -> Audio:
        """The inverse of `stft`, less the frames at both ends that not all windows cover."""
        from scipy.fft import irfft

        # Four root-Hann windows squared sum to 2 at a hop of a quarter.
        windows = irfft(spectrum, self.n_fft, workers=_THREADS) * (self.window / 2)
        hops = windows.reshape(*windows.shape[:-1], 4, self.hop_length)
        count = windows.shape[-2] - 3
        audio = np.zeros((*hops.shape[:-3], count, self.hop_length), np.float32)
        for part in range(4):
            audio += hops[..., 3 - part : 3 - part + count, part, :]
        return audio.reshape(*audio.shape[:-2], -1)


def _divide(estimates: Audio, residual: Audio, grid: _Grid, top: int) -> Audio:
    """The residual's part for each stem: (stems, channels, n) and (channels, n) -> (stems, channels, n')."""
    spectra = grid.stft(estimates)
    energy = np.square(spectra.real) + np.square(spectra.imag)
    energy += np.float32(_SILENCE * grid.n_fft)
    energy[..., top + 1 :] = energy[..., top // 2 : top + 1].sum(axis=-1, keepdims=True)
    energy /= energy.sum(axis=0)
    return grid.istft(energy * grid.stft(residual))


class _Level:
    """How far the residual lies below the mix, added up block by block."""

    def __init__(self) -> None:
        self._mix = 0.0
        self._residual = 0.0

    def add(self, mix: npt.NDArray[np.floating], residual: npt.NDArray[np.floating]) -> None:
        self._mix += float(np.square(mix, dtype=np.float64).sum())
        self._residual += float(np.square(residual, dtype=np.float64).sum())

    @property
    def db(self) -> float | None:
        if self._mix == 0.0:
            return None
        ratio = self._residual / self._mix
        return max(10 * math.log10(ratio), _FLOOR_DB) if ratio > 0 else _FLOOR_DB

"""AudioBuffer: a whole recording, read and written in blocks, so that memory does not grow with the song.

Audio in memory is `float32`, shape `(channels, frames)`, everywhere in the engine. A buffer holds one
recording of fixed shape either in memory or in a raw file (little-endian float32, frames interleaved).
File buffers use plain reads and writes and no memory map: mapped pages count as resident memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Audio = npt.NDArray[np.float32]

#: Frames per block. A multiple of every hop length in the engine, so that block edges lie on the STFT grid.
BLOCK_FRAMES = 1 << 19
#: Contexts are rounded up to a multiple of this, for the same reason.
GRID_FRAMES = 1 << 13

_BYTES = 4


class AudioBuffer:
    """`frames` frames of `channels` channels at `sample_rate` Hz; zeros until written.

    Make one with `AudioBuffer.of(array, rate)`, `AudioBuffer.memory(...)` or `AudioBuffer.create(path, ...)`;
    open a file written before with `AudioBuffer.open(path, ...)`. Reads outside `[0, frames)` give zeros.
    Several threads may use one buffer.
    """

    def __init__(self, channels: int, frames: int, sample_rate: int, store: Audio | Path) -> None:
        self.channels = channels
        self.frames = frames
        self.sample_rate = sample_rate
        self._store = store

    @classmethod
    def of(cls, audio: npt.NDArray[np.floating], sample_rate: int) -> AudioBuffer:
        """A buffer in memory with a copy of `audio`, shape (channels, frames)."""
        array = np.array(audio, dtype=np.float32, ndmin=2)
        return cls(array.shape[0], array.shape[1], sample_rate, array)

    @classmethod
    def memory(cls, channels: int, frames: int, sample_rate: int) -> AudioBuffer:
        """A silent buffer in memory."""
        return cls(channels, frames, sample_rate, np.zeros((channels, frames), np.float32))

    @classmethod
    def create(cls, path: Path, channels: int, frames: int, sample_rate: int) -> AudioBuffer:
        """A silent buffer in a new file at `path` (sparse where the file system can)."""
        with open(path, "xb") as file:
            file.truncate(channels * frames * _BYTES)
        return cls(channels, frames, sample_rate, path)

    @classmethod
    def open(cls, path: Path, channels: int, frames: int, sample_rate: int) -> AudioBuffer:
        """An existing buffer file. Raises ValueError if its size does not fit the shape."""
        if os.path.getsize(path) != channels * frames * _BYTES:
            raise ValueError(f"{path} does not hold {frames} frames of {channels} channels")
        return cls(channels, frames, sample_rate, path)

    @property
    def path(self) -> Path | None:
        """The file that holds the samples, or None for a buffer in memory."""
        return self._store if isinstance(self._store, Path) else None

    @property
    def shape(self) -> tuple[int, int]:
        """(channels, frames)"""
        return self.channels, self.frames

    def read(self, start: int, stop: int) -> Audio:
        """A copy of the frames `[start, stop)`, shape (channels, stop - start); zeros outside it."""
        out = np.zeros((self.channels, max(stop - start, 0)), np.float32)
        low, high = max(start, 0), min(stop, self.frames)
        if high <= low:
            return out
        if isinstance(self._store, Path):
            with open(self._store, "rb") as file:
                file.seek(low * self.channels * _BYTES)
                raw = np.fromfile(file, "<f4", (high - low) * self.channels)
            if raw.size != (high - low) * self.channels:
                raise OSError(f"{self._store} ended early: it was changed while in use")
            out[:, low - start : high - start] = raw.reshape(-1, self.channels).T
        else:
            out[:, low - start : high - start] = self._store[:, low:high]
        return out

    def write(self, start: int, block: npt.NDArray[np.floating]) -> None:
        """Store `block`, shape (channels, n), at frame `start`. It must lie inside the recording."""
        channels, count = block.shape
        if channels != self.channels or start < 0 or start + count > self.frames:
            raise ValueError(f"block {block.shape} at {start} does not fit a buffer of {self.shape}")
        if isinstance(self._store, Path):
            with open(self._store, "r+b") as file:
                file.seek(start * self.channels * _BYTES)
                # Not ndarray.tofile: its error on a full disk has no error number.
                file.write(np.ascontiguousarray(block.T, dtype="<f4").data)
        else:
            self._store[:, start : start + count] = block

    def blocks(self, size: int = BLOCK_FRAMES) -> Iterator[tuple[int, Audio]]:
        """(start, block) pairs that cover the recording once, in order."""
        for start in range(0, self.frames, size):
            yield start, self.read(start, min(start + size, self.frames))

    def to_array(self) -> Audio:
        """The whole recording in memory; for tests and short excerpts."""
        return self.read(0, self.frames)

    def like(self, path: Path | None = None) -> AudioBuffer:
        """A silent buffer of the same shape and rate, in memory or in a new file at `path`."""
        if path is None:
            return AudioBuffer.memory(self.channels, self.frames, self.sample_rate)
        return AudioBuffer.create(path, self.channels, self.frames, self.sample_rate)

"""Resampling a recording of any length with soxr: exact frame counts and no delay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr

from engine.audio.buffer import BLOCK_FRAMES, AudioBuffer
from engine.progress import Progress


def resampled_frames(frames: int, from_rate: int, to_rate: int) -> int:
    """Frames that cover the same time at another rate, rounded up; exact for any length.

    >>> resampled_frames(48_001, 48_000, 44_100)
    44101
    """
    return -(-frames * to_rate // from_rate)


def resample(
    source: AudioBuffer,
    sample_rate: int,
    path: Path | None,
    frames: int | None = None,
    progress: Progress | None = None,
) -> AudioBuffer:
    """`source` at `sample_rate` Hz, in a new buffer at `path` or in memory.

    Linear phase at soxr's very high quality: frame n of the result lies at the time n / sample_rate of the
    source, with no delay. Equal rates copy the samples unchanged.

    Args:
        source: any recording.
        sample_rate: the new rate in Hz.
        path: where the new buffer's file goes; None keeps it in memory.
        frames: length of the result, cut or filled with zeros; `resampled_frames` of the source by default.
            Give the original's length on the way back: there and back is then exact for every length.
        progress: asked for cancellation at every block.
    """
    if frames is None:
        frames = resampled_frames(source.frames, source.sample_rate, sample_rate)
    if path is None:
        result = AudioBuffer.memory(source.channels, frames, sample_rate)
    else:
        result = AudioBuffer.create(path, source.channels, frames, sample_rate)
    stream = None
    if sample_rate != source.sample_rate:
        stream = soxr.ResampleStream(
            source.sample_rate, sample_rate, source.channels, dtype="float32", quality="VHQ"
        )
    # soxr rounds its own length to the nearest frame. A little silence after the end gives it the input for
    # every frame that is wanted, so that the last one is a sample of the signal and not a filled-in zero.
    extra = 0 if stream is None else 16 + 2 * -(-source.sample_rate // sample_rate)
    end = source.frames + extra
    done = 0
    for start in range(0, end, BLOCK_FRAMES):
        if progress is not None:
            progress.check()
        stop = min(start + BLOCK_FRAMES, end)
        block = source.read(start, stop)
        if stream is not None:
            block = stream.resample_chunk(np.ascontiguousarray(block.T), last=stop == end).T
        block = block[:, : frames - done]
        result.write(done, block)
        done += block.shape[1]
    return result

"""Reading a range of a source file into an AudioBuffer on disk, and the digest of its samples."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.audio.decode import DecodeError, decode
from engine.audio.probe import SourceInfo, probe
from engine.errors import InputError, OptionError
from engine.files import output_errors
from engine.progress import Progress

__all__ = ["SILENCE_PEAK", "SourceInfo", "content_digest", "probe", "read_audio"]

#: A range that stays below this peak (-120 dBFS) is silent.
SILENCE_PEAK = 1e-6


def read_audio(info: SourceInfo, start: int, stop: int, path: Path, progress: Progress) -> AudioBuffer:
    """The frames `[start, stop)` of the source, decoded into a new buffer file at `path`.

    A constant offset (DC) is kept. After an error there is no file at `path`.

    Raises:
        InputError: for samples that are not finite numbers, for a range that is silent, and for a file that
            can't be decoded up to `stop`.
        OptionError: for a range outside the file.
        OutputError: if `path` can't be written.
    """
    if not 0 <= start < stop <= info.frames:
        raise OptionError(
            f"{info.path} has {info.frames} frames; there is no range from frame {start} to frame {stop}.",
            "Give a range within the file.",
        )
    with output_errors(path):
        buffer = AudioBuffer.create(path, info.channels, stop - start, info.sample_rate)
    try:
        _fill(buffer, path, info, start, progress)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return buffer


def content_digest(buffer: AudioBuffer) -> str:
    """SHA-256 in hexadecimal over the rate, the shape and every sample."""
    digest = hashlib.sha256(f"{buffer.sample_rate}/{buffer.channels}/{buffer.frames}/".encode())
    for _, block in buffer.blocks():
        digest.update(np.ascontiguousarray(block.T, "<f4").tobytes())
    return digest.hexdigest()


def _fill(buffer: AudioBuffer, path: Path, info: SourceInfo, start: int, progress: Progress) -> None:
    rate = info.sample_rate
    done = bad = first_bad = 0
    peak = 0.0
    reason = ""
    progress.update("read", 0, buffer.frames)
    try:
        with closing(decode(info.path, info.decoder, info.channels, start)) as blocks:
            while done < buffer.frames and (block := next(blocks, None)) is not None:
                progress.check()
                block = block[:, : buffer.frames - done]
                finite = np.isfinite(block)
                if finite.all():
                    peak = max(peak, float(np.abs(block).max(initial=0.0)))
                else:
                    first_bad = first_bad if bad else start + done + int(np.argmin(finite.all(axis=0)))
                    bad += int(finite.size - np.count_nonzero(finite))
                with output_errors(path):
                    buffer.write(done, block)
                done += block.shape[1]
                progress.update("read", done, buffer.frames)
    except DecodeError as error:
        reason = f" ({error})"
    if bad:
        raise InputError(
            f"{info.path} holds {bad} samples that are not finite numbers (NaN or infinite), the first at "
            f"{first_bad / rate:.3f} s.",
            "Export it again from the program that made it, or mute that spot.",
        )
    if done < buffer.frames:
        raise InputError(
            f"{info.path} is damaged or cut off at about {(start + done) / rate:.2f} s of the "
            f"{info.seconds:.2f} s that it should hold{reason}.",
            "Copy or export the file again.",
        )
    if peak < SILENCE_PEAK:
        ends = "" if done == info.frames else f" from {start / rate:.2f} s to {(start + done) / rate:.2f} s"
        raise InputError(
            f"{info.path} is silent{ends}: there is nothing to enhance.",
            "Check that it is the right file and range.",
        )

"""load_recording: any audio file, or a range of it, as an AudioBuffer on disk; silence is welcome here."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from engine.audio.buffer import BLOCK_FRAMES, AudioBuffer
from engine.audio.decode import DecodeError, decode
from engine.audio.probe import probe
from engine.errors import InputError


def load_recording(path: Path, into: Path, start: int = 0, stop: int | None = None) -> AudioBuffer:
    """Decode the frames `[start, stop)` of `path` into a new buffer file at `into`.

    A file that ends early is filled up with silence. Raises InputError for what can't be read.
    """
    info = probe(path)
    frames = (info.frames if stop is None else stop) - start
    if frames < 1 or not 0 <= start < info.frames:
        raise InputError(
            f"{path} is {info.seconds:.1f} s long; there is nothing from {start / info.sample_rate:g} s on.",
            "Choose a range within it.",
        )
    buffer = AudioBuffer.create(into, info.channels, frames, info.sample_rate)
    done = 0
    try:
        with closing(decode(path, info.decoder, info.channels, start)) as blocks:
            while done < frames and (block := next(blocks, None)) is not None:
                block = block[:, : frames - done]
                buffer.write(done, block)
                done += block.shape[1]
    except DecodeError as error:
        into.unlink(missing_ok=True)
        raise InputError(f"{path} can't be decoded: {error}.", "Copy or export the file again.") from error
    return buffer


def excerpt_of(buffer: AudioBuffer, start: int, stop: int, into: Path) -> AudioBuffer:
    """The frames `[start, stop)`: the buffer itself where that is all of it, else a copy at `into`."""
    if (start, stop) == (0, buffer.frames):
        return buffer
    cut = AudioBuffer.create(into, buffer.channels, stop - start, buffer.sample_rate)
    for at in range(start, stop, BLOCK_FRAMES):
        cut.write(at - start, buffer.read(at, min(at + BLOCK_FRAMES, stop)))
    return cut

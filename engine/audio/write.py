"""Writing a recording as a WAV or FLAC file: new, whole, flushed to the disk, and never rescaled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.audio.dither import Dither
from engine.audio.output_format import OutputFormat
from engine.audio.wav_file import wav_layout
from engine.audio.wav_metadata import WavMetadata
from engine.errors import OptionError, OutputError
from engine.files import new_file, output_errors, sha256_of
from engine.progress import Progress

__all__ = ["OutputFormat", "WriteResult", "write_audio"]

#: The largest rate that a FLAC header can hold; above 65535 Hz it counts in tens.
_FLAC_MAX_RATE = 655_350


@dataclass(frozen=True)
class WriteResult:
    """What was written: samples cut at full scale (integer formats only), the file's SHA-256 and its size."""

    clipped: int
    sha256: str
    bytes: int


def write_audio(
    path: Path,
    buffer: AudioBuffer,
    output_format: OutputFormat,
    metadata: WavMetadata | None,
    seed: int,
    progress: Progress | None = None,
    observe: Callable[[Audio], None] | None = None,
) -> WriteResult:
    """Write `buffer` to the new file `path`; `observe` is given every block of it in order.

    float32 keeps every sample bit by bit; integer formats are dithered (see `Dither`) and clip what lies
    beyond full scale. WAV carries all of `metadata`, FLAC what its comments can hold. The same arguments give
    the same bytes.

    Raises:
        OutputError: if the file exists or can't be written, or if the recording holds NaN or infinity.
            No file is left behind.
        OptionError: for a sample rate that FLAC can't hold.
    """
    is_flac = output_format.extension == ".flac"
    if is_flac:
        _check_flac(buffer, path)
    dither = None if output_format.is_float else Dither(output_format.bits, seed)
    blocks = _checked_blocks(path, buffer, progress, observe)
    digest = hashlib.sha256()
    with new_file(path) as file:
        if is_flac:
            assert dither is not None
            _write_flac(file, buffer, output_format.bits, dither, blocks, metadata)
        else:

            def write(data: bytes) -> None:
                digest.update(data)
                file.write(data)

            _write_wav(write, buffer, output_format, dither, blocks, metadata)
    with output_errors(path):
        # libsndfile goes back to a FLAC's header at the end, so what it wrote is read again.
        sha256 = sha256_of(path) if is_flac else digest.hexdigest()
        return WriteResult(dither.clipped if dither else 0, sha256, path.stat().st_size)


def _checked_blocks(
    path: Path, buffer: AudioBuffer, progress: Progress | None, observe: Callable[[Audio], None] | None
) -> Iterator[Audio]:
    for _, block in buffer.blocks(BLOCK_FRAMES):
        if progress is not None:
            progress.check()
        if not np.isfinite(block).all():
            raise OutputError(
                f"{path} was not written: the result holds samples that are not finite numbers.",
                "An effect failed on this recording; leave it out of the preset and report it.",
            )
        if observe is not None:
            observe(block)
        yield block


def _write_wav(
    write: Callable[[bytes], None],
    buffer: AudioBuffer,
    output_format: OutputFormat,
    dither: Dither | None,
    blocks: Iterator[Audio],
    metadata: WavMetadata | None,
) -> None:
    bits, is_float = output_format.bits, output_format.is_float
    layout = wav_layout(buffer.channels, buffer.frames, buffer.sample_rate, bits, is_float, metadata)
    write(layout.head)
    for block in blocks:
        if dither is None:
            write(np.ascontiguousarray(block.T, "<f4").tobytes())
        else:
            write(_pack(dither.quantise(block), bits))
    write(layout.tail)


def _pack(samples: npt.NDArray[np.int32], bits: int) -> bytes:
    """Interleaved little-endian integers of 16 or 24 bits."""
    frames = np.ascontiguousarray(samples.T, "<i4")
    return frames.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()


def _check_flac(buffer: AudioBuffer, path: Path) -> None:
    rate = buffer.sample_rate
    if rate > _FLAC_MAX_RATE or (rate > 65_535 and rate % 10):
        raise OptionError(
            f"{path} can't be written: FLAC does not know a sample rate of {rate} Hz.",
            "Choose float32, pcm24 or pcm16.",
        )


def _write_flac(
    file: BinaryIO,
    buffer: AudioBuffer,
    bits: int,
    dither: Dither,
    blocks: Iterator[Audio],
    metadata: WavMetadata | None,
) -> None:
    sink = _Sink(file)
    try:
        with soundfile.SoundFile(
            sink, "w", buffer.sample_rate, buffer.channels, f"PCM_{bits}", format="FLAC"
        ) as flac:
            for name, text in _comments(buffer, metadata):
                if text:  # libsndfile refuses an empty one
                    setattr(flac, name, text)
            for block in blocks:
                # libsndfile takes the upper bits of its integers, so that nothing is rounded again here.
                flac.write(np.ascontiguousarray((dither.quantise(block) << (32 - bits)).T))
    except (soundfile.SoundFileError, AssertionError):
        if sink.error is None:
            raise
    if sink.error is not None:
        raise sink.error


def _comments(buffer: AudioBuffer, metadata: WavMetadata | None) -> Iterator[tuple[str, str]]:
    if metadata is None:
        return
    yield "title", metadata.description
    yield "artist", metadata.originator
    yield "date", metadata.origination_date
    place = f"Starts at frame {metadata.time_reference} ({buffer.sample_rate} Hz)."
    yield "comment", "\n".join([place, *metadata.coding_history.splitlines()])


class _Sink:
    """The file as soundfile writes to it. libsndfile's callbacks can't raise: an error is kept for later."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None
        self.seek: Callable[..., int] = file.seek
        self.tell: Callable[[], int] = file.tell

    def write(self, data: bytes) -> int:
        if self.error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.error = error
        return 0

    def read(self, count: int) -> bytes:
        return b""

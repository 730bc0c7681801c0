"""The chunks of WAV, RF64, BW64, AIFF, CAF and Wave64 files, and how much of their audio is really there."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

#: A RIFF size that stands for "see ds64" (RF64, BW64) or "unknown, read to the end" (streams).
_UNKNOWN_32 = 0xFFFFFFFF
#: A file with more chunks than this is junk.
_MAX_CHUNKS = 4096


@dataclass(frozen=True)
class Chunk:
    """One chunk: its name, where its body starts, and the size in bytes that its header promises."""

    name: bytes
    offset: int
    size: int


@dataclass(frozen=True)
class Container:
    """A chunked audio file of `length` bytes."""

    kind: Literal["RIFF", "AIFF", "CAF", "W64"]
    chunks: tuple[Chunk, ...]
    length: int

    @property
    def audio(self) -> Chunk | None:
        """The chunk that holds the samples."""
        names = {b"data", b"SSND"}
        return next((chunk for chunk in self.chunks if chunk.name in names), None)

    @property
    def audio_present(self) -> int:
        """Bytes of the audio chunk that the file really holds."""
        audio = self.audio
        return 0 if audio is None else min(audio.size, self.length - audio.offset)


def read_container(path: Path) -> Container | None:
    """The chunks of the file at `path`, or None if it is of no chunked kind. Raises OSError."""
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        head = file.read(40)
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
            return Container("RIFF", _walk_riff(file, length), length)
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            return Container("AIFF", _walk(file, length, 12, ">4sI", align=2), length)
        if head[:4] == b"caff":
            return Container("CAF", _walk(file, length, 8, ">4sq", align=1), length)
        if head[:4] == b"riff" and head[24:28] == b"wave":
            return Container("W64", _walk(file, length, 40, "<4s12xQ", align=8, counts_header=True), length)
    return None


def _walk(
    file: BinaryIO,
    length: int,
    position: int,
    header: str,
    *,
    align: int,
    counts_header: bool = False,
    real_sizes: dict[bytes, int] | None = None,
) -> tuple[Chunk, ...]:
    """Chunks from byte `position` on; `header` is the struct format of a chunk's name and size."""
    chunks: list[Chunk] = []
    header_size = struct.calcsize(header)
    while position + header_size <= length and len(chunks) < _MAX_CHUNKS:
        file.seek(position)
        name, size = struct.unpack(header, file.read(header_size))
        offset = position + header_size
        if counts_header:
            size -= header_size
        if real_sizes is not None:
            size = _riff_size(name, size, length - offset, real_sizes)
        if size < 0:  # CAF: -1 says that the audio runs to the end of the file
            size = length - offset
        chunks.append(Chunk(name, offset, size))
        position = offset + -(-size // align) * align
    return tuple(chunks)


def _walk_riff(file: BinaryIO, length: int) -> tuple[Chunk, ...]:
    file.seek(12)
    name, size = struct.unpack("<4sI", file.read(8).ljust(8, b"\0"))
    real_sizes: dict[bytes, int] = {}
    if name == b"ds64":
        body = file.read(min(size, 1 << 16))
        if len(body) >= 28:
            data_size, entries = struct.unpack("<8xQ8xI", body[:28])
            real_sizes[b"data"] = data_size
            for at in range(28, min(28 + 12 * entries, len(body) - 11), 12):
                entry, entry_size = struct.unpack_from("<4sQ", body, at)
                real_sizes[entry] = entry_size
    return _walk(file, length, 12, "<4sI", align=2, real_sizes=real_sizes)


def _riff_size(name: bytes, size: int, rest: int, real_sizes: dict[bytes, int]) -> int:
    if size == _UNKNOWN_32:
        return real_sizes.get(name, rest)
    # Programs that write WAV into a pipe can't go back to fill in the size: some leave the largest signed
    # number, some 0x7FFFF000 rounded down to whole frames.
    if name == b"data" and rest < size and (size == 0x7FFFFFFF or 0x7FFFF000 - 64 < size <= 0x7FFFF000):
        return rest
    return size

"""MP3 files whose header does not say how long they are.

Without a Xing, Info or VBRI header libsndfile guesses the length from the file size and the first bit rates,
and stops there: of a file with variable bit rate it can drop the last part without a word. Handing it a file
that claims to be far longer makes the guess too large, so that decoding runs to the real end.
"""

from __future__ import annotations

import os
from io import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import BinaryIO

#: Bit rates of one MP3 lie within a factor of 40 (8 to 320 kb/s).
_CLAIMED_FACTOR = 64
_ID3V1_BYTES = 128


def lacks_length(path: Path) -> bool:
    """True if the file is an MP3 without a header that gives its length. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(10)
        offset = 0
        if head[:3] == b"ID3" and len(head) == 10:
            offset = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
        file.seek(offset)
        first = file.read(4096)
    starts_with_frame = len(first) > 1 and first[0] == 0xFF and first[1] & 0xE6 == 0xE2
    return starts_with_frame and not any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


class EndlessFile:
    """The file at `path` for soundfile to read, claiming to be many times its size."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by close()
        self._length = os.fstat(self._file.fileno()).st_size
        self._claimed = self._length * _CLAIMED_FACTOR + _ID3V1_BYTES
        self._position = 0

    @property
    def at_end(self) -> bool:
        """True once the last byte of the real file was handed out."""
        return self._position >= self._length

    def readinto(self, into: memoryview) -> int:
        """Read as a file does; the claimed last 128 bytes, where an ID3v1 tag would be, are zeros."""
        if self._position >= self._claimed - _ID3V1_BYTES:
            count = min(len(into), self._claimed - self._position)
            into[0:count] = bytes(count)
        else:
            self._file.seek(self._position)
            data = self._file.read(len(into))
            count = len(data)
            into[0:count] = data
        self._position += count
        return count

    def read(self, count: int) -> bytes:
        """Read as a file does; soundfile asks that it exists."""
        data = bytearray(count)
        return bytes(data[: self.readinto(memoryview(data))])

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move as a file does, within the claimed size."""
        base = {SEEK_CUR: self._position, SEEK_END: self._claimed}.get(whence, 0)
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """The position in the claimed file."""
        return self._position

    def close(self) -> None:
        """Close the file."""
        self._file.close()

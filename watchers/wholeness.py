"""Whether a file holds all the audio that its header promises, format by format."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import soundfile

from engine.audio.containers import Container, read_container
from engine.audio.decode import DecodeError, decode, file_name

#: Programs have been seen to write a total that is one header too large.
_TOTAL_TOLERANCE = 8
_UNKNOWN_32 = 0xFFFFFFFF
#: What programs that write into a pipe put instead of a size they don't know.
_PIPE_SIZES = (0x7FFFFFFF, _UNKNOWN_32)
_PIPE_SIZES_FROM, _PIPE_SIZES_TO = 0x7FFFF000 - 64, 0x7FFFF000
#: The longest page of an OGG file.
_OGG_PAGE = 27 + 255 + 255 * 255
#: A fragmented MP4 has some for every second; what comes after so many is not looked at.
_MAX_BOXES = 100_000


class Whole(Enum):
    """What the comparison of header and data says."""

    YES = "yes"
    NO = "no"
    #: The format, or this file, does not say how long it is.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Wholeness:
    """The answer, and where it is NO one clause that says what is missing."""

    whole: Whole
    missing: str = ""


_YES, _UNKNOWN = Wholeness(Whole.YES), Wholeness(Whole.UNKNOWN)


def wholeness(path: Path) -> Wholeness:
    """Compare the length in the header of `path` with its data. Raises OSError.

    WAV, RF64, AIFF, CAF, W64, AU and MP4 by their sizes; FLAC by reaching its last frame; OGG by its last
    page; MP3 by its Xing header if it has one. Everything else is UNKNOWN.
    """
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        head = file.read(64)
    container = read_container(path)
    if container is not None:
        return _chunked(path, container, head)
    after_tag = _id3_bytes(head)
    if after_tag > length:
        return _short_bytes(length, after_tag)
    if after_tag:
        with open(path, "rb") as file:
            file.seek(after_tag)
            head = file.read(64)
    if head[:4] == b"fLaC":
        return _flac(path)
    if head[:4] == b"OggS":
        return _ogg(path, length)
    if head[:4] == b".snd" and len(head) >= 12:
        offset, size = struct.unpack(">II", head[4:12])
        return _UNKNOWN if size == _UNKNOWN_32 else _sized(length, offset + size)
    if head[4:8] == b"ftyp":
        return _mp4(path, length)
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return _mp3(path, length, after_tag)
    return _UNKNOWN


def _chunked(path: Path, container: Container, head: bytes) -> Wholeness:
    audio = container.audio
    if audio is None:
        return Wholeness(Whole.NO, "its audio has not come yet")
    if container.audio_present < audio.size:
        return _short_audio(path, container.audio_present, audio.size)
    total = _promised_total(container, head)
    if total is None or _runs_to_the_end(path, container, head):
        return _UNKNOWN
    return _sized(container.length + _TOTAL_TOLERANCE, total)


def _promised_total(container: Container, head: bytes) -> int | None:
    """Bytes that the whole file should have; None if its header does not say, 0 where there is no such field.

    It counts what comes after the audio too: markers, broadcast data, tags.
    """
    if container.kind == "AIFF":
        return int(struct.unpack(">I", head[4:8])[0]) + 8
    if container.kind == "W64":
        return int(struct.unpack("<Q", head[16:24])[0])
    if container.kind == "CAF":
        return 0
    size = int(struct.unpack("<I", head[4:8])[0])
    if head[:4] != b"RIFF" and head[12:16] == b"ds64" and len(head) >= 28:
        return int(struct.unpack("<Q", head[20:28])[0]) + 8
    if size in _PIPE_SIZES or _PIPE_SIZES_FROM < size <= _PIPE_SIZES_TO:
        return None
    return size + 8


def _runs_to_the_end(path: Path, container: Container, head: bytes) -> bool:
    """Whether the header gives the audio no size of its own, so that it ends where the file does."""
    if container.audio is None or not (container.kind == "CAF" or head[:4] == b"RIFF"):
        return False
    width = 8 if container.kind == "CAF" else 4
    with open(path, "rb") as file:
        file.seek(container.audio.offset - width)
        written = int.from_bytes(file.read(width), "big" if width == 8 else "little")
    return written != container.audio.size


def _flac(path: Path) -> Wholeness:
    try:
        with soundfile.SoundFile(file_name(path)) as sound:
            frames, rate, channels = sound.frames, sound.samplerate, sound.channels
            if not 0 < frames < 1 << 62:
                return _UNKNOWN
            try:
                sound.seek(frames - 1)
                if len(sound.read(1)) == 1:
                    return _YES
            except soundfile.SoundFileError:
                pass
    except soundfile.SoundFileError:
        return _UNKNOWN  # whether it can be opened is another question
    present = 0
    try:
        for block in decode(path, "soundfile", channels):
            present += block.shape[1]
    except DecodeError:
        pass
    return _short_seconds(present / rate, frames / rate)


def _ogg(path: Path, length: int) -> Wholeness:
    """Whether the file ends with a page that is whole and marked as the last of its stream (RFC 3533)."""
    with open(path, "rb") as file:
        file.seek(max(length - _OGG_PAGE, 0))
        tail = file.read()
    at = tail.rfind(b"OggS")
    page = tail[at:] if at >= 0 else b""
    if len(page) >= 27 and page[5] & 4:
        table = page[27 : 27 + page[26]]
        if len(table) == page[26] and len(page) >= 27 + page[26] + sum(table):
            return _YES
    return Wholeness(Whole.NO, "its last page is missing")


def _mp4(path: Path, length: int) -> Wholeness:
    """Walk the boxes at the top (ISO 14496-12): each must end within the file, and `moov` must be there."""
    position, names = 0, set[bytes]()
    with open(path, "rb") as file:
        for _ in range(_MAX_BOXES):
            if position >= length:
                break
            file.seek(position)
            size, name = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
            if size == 1:
                size = int(struct.unpack(">Q", file.read(8).ljust(8, b"\0"))[0])
            elif size == 0:  # to the end of the file
                names.add(name)
                return _UNKNOWN if b"moov" in names else Wholeness(Whole.NO, "its index has not come yet")
            if size < 8 or position + size > length:
                return _short_bytes(length, position + max(size, 8))
            names.add(name)
            position += size
    return _YES if b"moov" in names else Wholeness(Whole.NO, "its index has not come yet")


def _mp3(path: Path, length: int, offset: int) -> Wholeness:
    """The Xing or Info header's byte count, which runs from the first frame on; without one, UNKNOWN."""
    with open(path, "rb") as file:
        file.seek(offset)
        first = file.read(256)
    at = max(first.find(b"Xing"), first.find(b"Info"))
    if at < 0 or len(first) < at + 16:
        return _UNKNOWN
    flags = struct.unpack_from(">I", first, at + 4)[0]
    if not flags & 2:
        return _UNKNOWN
    return _sized(length, offset + struct.unpack_from(">I", first, at + (12 if flags & 1 else 8))[0])


def _id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that the file begins with."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])


def _sized(length: int, promised: int) -> Wholeness:
    return _YES if length >= promised else _short_bytes(length, promised)


def _short_audio(path: Path, present: int, promised: int) -> Wholeness:
    try:
        seconds = soundfile.info(file_name(path)).duration
        return _short_seconds(seconds, seconds * promised / present)
    except (soundfile.SoundFileError, ZeroDivisionError):
        return _short_bytes(present, promised)


def _short_seconds(present: float, promised: float) -> Wholeness:
    return Wholeness(Whole.NO, f"{present:.2f} of {promised:.2f} seconds")


def _short_bytes(present: int, promised: int) -> Wholeness:
    return Wholeness(Whole.NO, f"{present:,} of {promised:,} bytes")

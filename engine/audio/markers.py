"""Markers and regions of WAV files: the `cue ` and `LIST adtl` chunks, to and from bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.audio.bext import decode_text, encode_text

_CUE = struct.Struct("<II4sIII")
_REGION = struct.Struct("<II4sHHHH")
_MAX_FRAME = 0xFFFFFFFF


@dataclass(frozen=True)
class Marker:
    """A named place, or a region if `frames` is not 0, that starts at `frame` of the file."""

    frame: int
    label: str = ""
    note: str = ""
    frames: int = 0


def parse(cue: bytes, adtl: bytes) -> tuple[Marker, ...]:
    """Markers in order of time, from the bodies of the two chunks (`adtl` without its list type)."""
    found: dict[int, Marker] = {}
    promised = int.from_bytes(cue[:4], "little")
    for at in range(4, min(4 + promised * _CUE.size, len(cue) - _CUE.size + 1), _CUE.size):
        number, _, _, _, _, frame = _CUE.unpack_from(cue, at)
        found[number] = Marker(frame)
    for name, body in _parts(adtl):
        number = int.from_bytes(body[:4], "little")
        if number not in found or len(body) < 4:
            continue
        if name == b"labl":
            found[number] = replace(found[number], label=decode_text(body[4:]))
        elif name == b"note":
            found[number] = replace(found[number], note=decode_text(body[4:]))
        elif name == b"ltxt" and len(body) >= 8:
            found[number] = replace(found[number], frames=int.from_bytes(body[4:8], "little"))
    return tuple(sorted(found.values(), key=lambda marker: marker.frame))


def build(markers: Sequence[Marker]) -> tuple[bytes, bytes]:
    """Bodies of the `cue ` chunk and of the `adtl` list (without its list type); positions have 32 bits."""
    kept = [marker for marker in markers if 0 <= marker.frame <= _MAX_FRAME]
    cue = struct.pack("<I", len(kept))
    adtl = b""
    for number, marker in enumerate(kept, start=1):
        cue += _CUE.pack(number, marker.frame, b"data", 0, 0, marker.frame)
        if marker.label:
            adtl += _part(b"labl", struct.pack("<I", number) + encode_text(marker.label) + b"\0")
        if marker.note:
            adtl += _part(b"note", struct.pack("<I", number) + encode_text(marker.note) + b"\0")
        if marker.frames:
            adtl += _part(b"ltxt", _REGION.pack(number, min(marker.frames, _MAX_FRAME), b"rgn ", 0, 0, 0, 0))
    return cue, adtl


def shifted(markers: Sequence[Marker], start: int, frames: int) -> tuple[Marker, ...]:
    """The markers as they lie in an excerpt of `frames` frames from frame `start` on.

    Those outside are dropped. A region that only overlaps the excerpt is cut to it.
    """
    kept = []
    for marker in markers:
        first = max(marker.frame, start)
        last = min(marker.frame + marker.frames, start + frames)
        inside = start <= marker.frame < start + frames
        if inside or (marker.frames and first < last):
            kept.append(replace(marker, frame=first - start, frames=max(last - first, 0)))
    return tuple(kept)


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(body):
        size = int.from_bytes(body[at + 4 : at + 8], "little")
        yield body[at : at + 4], body[at + 8 : at + 8 + size]
        at += 8 + size + (size & 1)


def _part(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)

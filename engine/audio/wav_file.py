"""The byte layout of the WAV files that are written: Broadcast Wave, beyond 4 GiB as RF64 (EBU Tech 3306)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from engine.audio import bext, ixml, markers
from engine.audio.wav_metadata import WavMetadata

#: Largest file body that the 32-bit sizes of RIFF can say.
RIFF_LIMIT = 0xFFFFFFFF

_PCM, _IEEE_FLOAT = 1, 3
_DS64_BYTES = 28


@dataclass(frozen=True)
class WavLayout:
    """What comes before the samples and what comes after them."""

    head: bytes
    tail: bytes


def wav_layout(
    channels: int, frames: int, sample_rate: int, bits: int, is_float: bool, metadata: WavMetadata | None
) -> WavLayout:
    """Header and trailer for `frames` frames of interleaved little-endian samples of `bits` bits.

    The header has the same length for RIFF and RF64: what is `ds64` in one is a `JUNK` chunk in the other.
    """
    data_bytes = channels * frames * bits // 8
    before = _format(channels, frames, sample_rate, bits, is_float)
    after = bytes(data_bytes & 1)
    if metadata is not None:
        before = _chunk(b"bext", bext.build(metadata)) + before
        if metadata.ixml is not None:
            notes = ixml.formatted(metadata.ixml, channels=channels, bits=bits)
            after += _chunk(b"iXML", ixml.build(notes))
        cue, labels = markers.build(metadata.markers)
        if metadata.markers:
            after += _chunk(b"cue ", cue) + _chunk(b"LIST", b"adtl" + labels)

    riff_bytes = 4 + 8 + _DS64_BYTES + len(before) + 8 + data_bytes + len(after)
    if riff_bytes <= RIFF_LIMIT:
        first = _chunk(b"JUNK", bytes(_DS64_BYTES))
        head = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVE" + first + before
        head += b"data" + struct.pack("<I", data_bytes)
    else:
        first = _chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, frames, 0))
        head = b"RF64\xff\xff\xff\xffWAVE" + first + before + b"data\xff\xff\xff\xff"
    return WavLayout(head, after)


def _format(channels: int, frames: int, sample_rate: int, bits: int, is_float: bool) -> bytes:
    frame_bytes = channels * bits // 8
    tag = _IEEE_FLOAT if is_float else _PCM
    body = struct.pack("<HHIIHH", tag, channels, sample_rate, sample_rate * frame_bytes, frame_bytes, bits)
    if not is_float:
        return _chunk(b"fmt ", body)
    fact = struct.pack("<I", min(frames, 0xFFFFFFFF))
    return _chunk(b"fmt ", body + struct.pack("<H", 0)) + _chunk(b"fact", fact)


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)

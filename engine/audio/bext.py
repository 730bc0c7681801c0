"""The `bext` chunk of Broadcast Wave files (EBU Tech 3285 version 2): to and from bytes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.audio.wav_metadata import WavMetadata

#: Size in bytes of each text field, in the order of the chunk.
_TEXTS = {
    "description": 256,
    "originator": 32,
    "originator_reference": 32,
    "origination_date": 10,
    "origination_time": 8,
}
#: Stored as hundredths, version 2 only.
_LEVELS = (
    "loudness_lufs",
    "loudness_range_lu",
    "max_true_peak_db",
    "max_momentary_lufs",
    "max_short_term_lufs",
)
_NOT_SET = 0x7FFF
_NUMBERS = struct.Struct("<QH64s5h")
_NUMBERS_AT = sum(_TEXTS.values())
_HISTORY_AT = _NUMBERS_AT + _NUMBERS.size + 180
#: A chunk that ends before the time reference does is junk.
_SHORTEST = _NUMBERS_AT + 8


def parse(body: bytes) -> dict[str, Any]:
    """The fields of WavMetadata that a `bext` chunk gives; empty if the chunk is junk."""
    if len(body) < _SHORTEST:
        return {}
    padded = body.ljust(_HISTORY_AT, b"\0")
    fields: dict[str, Any] = {}
    at = 0
    for name, size in _TEXTS.items():
        fields[name] = decode_text(padded[at : at + size])
        at += size
    time_reference, version, umid, *levels = _NUMBERS.unpack_from(padded, _NUMBERS_AT)
    fields["time_reference"] = time_reference
    fields["umid"] = umid if any(umid) else b""
    if version >= 2:
        fields |= {
            name: None if raw == _NOT_SET else raw / 100 for name, raw in zip(_LEVELS, levels, strict=True)
        }
    fields["coding_history"] = decode_text(padded[_HISTORY_AT:])
    return fields


def build(metadata: WavMetadata) -> bytes:
    """The body of a `bext` chunk. Text that is too long is cut at a whole character."""
    texts = b"".join(_fit(getattr(metadata, name), size) for name, size in _TEXTS.items())
    levels = [getattr(metadata, name) for name in _LEVELS]
    version = 1 if all(level is None for level in levels) else 2
    raw = [0 if version == 1 else _NOT_SET if level is None else _hundredths(level) for level in levels]
    time_reference = min(max(metadata.time_reference, 0), 2**64 - 1)
    numbers = _NUMBERS.pack(time_reference, version, metadata.umid[:64], *raw)
    history = "".join(f"{line}\r\n" for line in metadata.coding_history.splitlines())
    body = texts + numbers + bytes(180) + encode_text(history)
    # Even: in RF64 libsndfile does not skip the padding of an odd bext chunk and then finds no samples.
    return body + bytes(len(body) & 1)


def decode_text(raw: bytes) -> str:
    """Text up to the first zero byte. The standard says ASCII; programs write UTF-8 or Latin-1."""
    raw = raw.split(b"\0", 1)[0]
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        return raw.decode("latin-1").strip()


def encode_text(text: str) -> bytes:
    """UTF-8 without zero characters."""
    return text.replace("\0", "").encode("utf-8", "replace")


def _fit(text: str, size: int) -> bytes:
    return encode_text(text)[:size].decode("utf-8", "ignore").encode().ljust(size, b"\0")


def _hundredths(level: float) -> int:
    return max(min(round(level * 100), 0x7FFE), -0x8000)

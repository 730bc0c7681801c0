"""What a WAV file says beside its samples: place on the time line, history, markers, production notes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from engine.audio import bext, ixml, markers
from engine.audio.containers import Chunk, read_container
from engine.audio.markers import Marker

__all__ = ["Marker", "WavMetadata", "derive", "read_metadata"]

#: A metadata chunk larger than this is junk.
_MAX_BYTES = 1 << 24


@dataclass(frozen=True)
class WavMetadata:
    """The `bext`, `iXML` and marker chunks of a WAV file; the defaults stand for a file without them."""

    description: str = ""
    originator: str = ""
    originator_reference: str = ""
    origination_date: str = ""
    origination_time: str = ""
    #: Place of the first frame: frames at the file's own rate since midnight or the project's start.
    time_reference: int = 0
    umid: bytes = b""
    loudness_lufs: float | None = None
    loudness_range_lu: float | None = None
    max_true_peak_db: float | None = None
    max_momentary_lufs: float | None = None
    max_short_term_lufs: float | None = None
    coding_history: str = ""
    ixml: str | None = None
    markers: tuple[Marker, ...] = ()


def read_metadata(path: Path) -> WavMetadata:
    """The metadata of the WAV, RF64 or BW64 file at `path`. Junk is ignored; other formats have none."""
    try:
        container = read_container(path)
        if container is None or container.kind != "RIFF":
            return WavMetadata()
        first: dict[bytes, Chunk] = {}
        for chunk in container.chunks:
            first.setdefault(chunk.name, chunk)
        bodies = {name: _body(path, first[name]) for name in (b"bext", b"iXML", b"cue ") if name in first}
        lists = [_body(path, chunk) for chunk in container.chunks if chunk.name == b"LIST"]
    except OSError:
        return WavMetadata()
    adtl = next((body[4:] for body in lists if body[:4] == b"adtl"), b"")
    return WavMetadata(
        **bext.parse(bodies.get(b"bext", b"")),
        ixml=ixml.parse(bodies[b"iXML"]) if b"iXML" in bodies else None,
        markers=markers.parse(bodies.get(b"cue ", b""), adtl),
    )


def derive(
    metadata: WavMetadata,
    *,
    start_frame: int,
    frames: int,
    sample_rate: int,
    track_name: str,
    coding_history_line: str,
) -> WavMetadata:
    """Metadata for a new file made from `frames` frames of a source from its frame `start_frame` on.

    Args:
        metadata: the source's.
        start_frame: first frame of the source that is in the new file.
        frames: length of the new file.
        sample_rate: rate of both files in Hz.
        track_name: name of the new file's track.
        coding_history_line: what was done; appended to the source's history.

    The dates are the source's: the same source and settings give the same bytes on any day.
    """
    time_reference = metadata.time_reference + start_frame
    history = [*metadata.coding_history.splitlines(), *coding_history_line.splitlines()]
    return replace(
        metadata,
        description=metadata.description or track_name,
        originator=metadata.originator or "stemfix",
        time_reference=time_reference,
        # The identifier and the levels belong to the source's samples, not to what was made of them.
        umid=b"",
        loudness_lufs=None,
        loudness_range_lu=None,
        max_true_peak_db=None,
        max_momentary_lufs=None,
        max_short_term_lufs=None,
        coding_history="\n".join(history),
        ixml=ixml.placed(
            metadata.ixml, time_reference=time_reference, sample_rate=sample_rate, track_name=track_name
        ),
        markers=markers.shifted(metadata.markers, start_frame, frames),
    )


def _body(path: Path, chunk: Chunk) -> bytes:
    if chunk.size > _MAX_BYTES:
        return b""
    with open(path, "rb") as file:
        file.seek(chunk.offset)
        return file.read(chunk.size)

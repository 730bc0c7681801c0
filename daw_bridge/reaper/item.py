"""Item: one audio item of a REAPER project, read from its chunk, and copied onto a stem.

All of an item's attributes (place, length, fades, gain, rate, pitch, envelopes) are in its chunk, so a copy
of the chunk with another source lands exactly where the item is. Times on a source are seconds of its own
timeline, before the playback rate. What a copy could not hold exactly is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from daw_bridge.reaper.chunk import ChunkError, find_blocks, new_guid, number, quoted, replaced, words
from daw_bridge.reaper.result import Result, Stem

#: A range may miss the stems by so much of a second: REAPER rounds numbers in its files.
_TOLERANCE_S = 1e-9
_NO_AUDIO = {
    "MIDI": "MIDI",
    "MIDIPOOL": "MIDI",
    "RPP_PROJECT": "a project",
    "CLICK": "a click",
    "VIDEO": "a video",
}


#: Files that every program reads alike.
_EXACT = {".wav", ".wave", ".w64", ".rf64", ".bwf", ".aif", ".aiff", ".aifc", ".caf", ".flac"}


class UnfitItemError(ChunkError):
    """An item that can't be copied exactly; one sentence says why."""


@dataclass(frozen=True)
class Section:
    """A part of a file that REAPER plays as if it were a whole one."""

    start_s: float
    length_s: float | None
    is_reversed: bool


@dataclass
class Item:
    """One item with one take of audio. `lines` are its chunk."""

    lines: list[bytes]
    position_s: float
    length_s: float
    offset_s: float
    rate: float
    loops: bool
    is_muted: bool
    is_selected: bool
    guid: str
    name: str
    #: As it stands in the chunk: absolute, or relative to the project.
    file: str
    section: Section | None
    #: The lines `[start, stop)` of the innermost source.
    source: tuple[int, int]

    @classmethod
    def parse(cls, lines: list[bytes]) -> Item:
        """The item in a chunk. Raises UnfitItemError, ChunkError."""
        blocks = find_blocks(lines)
        if not blocks or blocks[0].name != "ITEM" or blocks[0].stop != len(lines):
            raise ChunkError("This is not an item.", "The file is damaged.")
        inner = {index for block in blocks[1:] for index in range(block.start, block.stop)}
        own = [index for index in range(1, len(lines) - 1) if index not in inner]
        keys = {found[0]: found[1:] for index in own if (found := words(lines[index]))}
        _refuse(keys, {block.name for block in blocks if block.parent == 0})
        sources = [block for block in blocks if block.name == "SOURCE"]
        kinds = [(words(lines[source.start])[1:2] or ["EMPTY"])[0] for source in sources]
        section = None
        # A section holds the one source that it is of.
        nests = [source.parent and blocks[source.parent] for source in sources[1:]] == sources[:1]
        if len(sources) == 2 and nests and kinds[0] == "SECTION":
            section = _section(lines[sources[0].start + 1 : sources[1].start])
        elif len(sources) != 1:
            raise UnfitItemError("It has no source, or several.", "Glue the item first.")
        source, kind = sources[-1], kinds[-1]
        if kind == "SECTION":
            raise UnfitItemError("It is a section of something unknown.", "Glue the item first.")
        if kind.startswith("_OFFLINE"):
            raise UnfitItemError("Its media is offline.", "Put it online first.")
        files = [
            words(line) for line in lines[source.start : source.stop] if line.strip().startswith(b"FILE ")
        ]
        if kind in _NO_AUDIO or len(files) != 1 or len(files[0]) < 2:
            raise UnfitItemError(
                f"It is {_NO_AUDIO.get(kind, 'not audio from a file')}.", "Choose an audio item."
            )
        if PurePath(files[0][1]).suffix.lower() not in _EXACT:
            raise UnfitItemError(
                "Its file is of a kind that two programs may begin at different samples.",
                "Use the action in REAPER, which reads it as REAPER plays it, or glue the item first.",
            )
        return cls(
            lines=lines,
            position_s=_number(keys, "POSITION"),
            length_s=_number(keys, "LENGTH"),
            offset_s=_number(keys, "SOFFS"),
            rate=_number(keys, "PLAYRATE", 1.0),
            loops=_number(keys, "LOOP") != 0,
            is_muted=_number(keys, "MUTE") != 0,
            is_selected=_number(keys, "SEL") != 0,
            guid=" ".join(keys.get("IGUID", ())),
            name=" ".join(keys.get("NAME", ())),
            file=files[0][1],
            section=section,
            source=(source.start, source.stop),
        )

    def needs(self, file_s: float) -> tuple[float, float]:
        """The range of the file, in seconds, that the item plays or may play; the file lasts `file_s`."""
        if self.section is not None:
            length = file_s if self.section.length_s is None else self.section.length_s
            return max(self.section.start_s, 0.0), min(self.section.start_s + length, file_s)
        start, stop = self.offset_s, self.offset_s + self.length_s * self.rate
        if self.loops and (start < -_TOLERANCE_S or stop > file_s + _TOLERANCE_S):
            return 0.0, file_s
        return max(start, 0.0), min(stop, file_s)

    def is_covered_by(self, result: Result) -> bool:
        """Whether the stems hold all that the item plays."""
        start, stop = self.needs(result.file_frames / result.sample_rate)
        if start >= stop:
            return False
        return result.start_s <= start + _TOLERANCE_S and stop <= result.stop_s + _TOLERANCE_S

    def copy(self, stem: Stem, result: Result, project: PurePath | None = None) -> list[bytes]:
        """The chunk of an item that plays `stem` where this one plays its source.

        Paths below the folder `project` are written relative to it. Raises UnfitItemError.
        """
        if not self.is_covered_by(result):
            raise UnfitItemError("It plays more than the job had.", "Run the job again with the whole item.")
        lines = []
        start, stop = self.source
        depth = 0
        for index, line in enumerate(self.lines):
            if start <= index < stop:
                if index == start:
                    lines += self._source(stem, project)
                continue
            text = line.strip()
            depth += text.startswith(b"<")
            line = self._moved(line, result, depth)
            depth -= text == b">"
            if line:
                lines.append(line)
        return lines

    def _source(self, stem: Stem, project: PurePath | None) -> list[bytes]:
        first = self.lines[self.source[0]]
        indent, end = _frame(first)
        path = stem.path
        if project is not None and path.is_relative_to(project):
            path = Path(path.relative_to(project))
        kind = {".flac": b"FLAC"}.get(stem.path.suffix.lower(), b"WAVE")
        return [
            indent + b"<SOURCE " + kind + end,
            indent + b"  FILE " + quoted(str(path)) + end,
            indent + b">" + end,
        ]

    def _moved(self, line: bytes, result: Result, depth: int) -> bytes:
        """One line outside of the source, for the copy; empty to leave it out."""
        found = words(line)
        key = found[0] if found else ""
        if key in ("EGUID", "GUID", "IGUID"):
            return replaced(line, new_guid())
        if depth == 1:
            if key == "IID" or key == "GROUP":
                return b""
            if key in ("SEL", "MUTE"):
                return replaced(line, b" ".join([b"0", *(word.encode() for word in found[2:])]))
            if key == "SOFFS" and self.section is None and result.start_frame:
                seconds = number(self.offset_s - result.start_s)
                return replaced(line, seconds)
        if depth == 2 and key == "STARTPOS" and self.section is not None and result.start_frame:
            return replaced(line, number(self.section.start_s - result.start_s))
        return line


def _refuse(keys: dict[str, list[str]], blocks: set[str]) -> None:
    if "TAKE" in keys:
        raise UnfitItemError("It has several takes.", "Crop it to the active take first.")
    if "TAKEFX" in blocks:
        raise UnfitItemError("It has take effects.", "Render or remove them first.")
    if "SM" in keys or "TMINFO" in keys:
        raise UnfitItemError("It has stretch markers.", "Glue the item first.")
    if keys.get("LOCK", ["0"])[0] not in ("0", ""):
        raise UnfitItemError("It is locked.", "Unlock it first.")


def _section(lines: list[bytes]) -> Section:
    keys = {found[0]: found[1:] for line in lines if (found := words(line))}
    mode = int(_number(keys, "MODE"))
    length = None if mode & 1 else _number(keys, "LENGTH", -1.0)
    if length is not None and length <= 0:
        raise UnfitItemError("Its section has no length.", "Glue the item first.")
    return Section(0.0 if mode & 1 else _number(keys, "STARTPOS"), length, bool(mode & 2))


def _number(keys: dict[str, list[str]], name: str, default: float = 0.0) -> float:
    found = keys.get(name, [])
    try:
        return float(found[0]) if found else default
    except ValueError:
        raise ChunkError(f"{name} is no number.", "The file is damaged.") from None


def _frame(line: bytes) -> tuple[bytes, bytes]:
    """A line's indentation and its end."""
    body = line.rstrip(b"\r\n")
    return re.match(rb"\s*", body)[0], line[len(body) :]  # type: ignore[index]

"""Project: a REAPER project file, and the copy of it in which stems lie below their originals.

The copy differs from the project in nothing but this: the original items are muted, their tracks' folder
lines and the new tracks. After a prototype on projects that REAPER wrote; the meaning of `ISBUS` is (1, 1)
for a track that begins a folder, (2, -n) for one that ends n folders, (0, 0) for any other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from daw_bridge.reaper.chunk import (
    Block,
    ChunkError,
    find_blocks,
    new_guid,
    quoted,
    replaced,
    split_lines,
    words,
)
from daw_bridge.reaper.item import Item
from daw_bridge.reaper.result import Result
from engine.errors import InputError, OptionError

#: Tracks of hours of MIDI make such files; anything larger is no project.
_MAX_BYTES = 1 << 30


@dataclass(frozen=True)
class Placed:
    """An item and where it lies: lines `[start, stop)` of the project, on the track `track_name`."""

    item: Item | None
    #: Why it can't be used; empty if it can.
    refusal: str
    start: int
    stop: int
    track: Block
    track_name: str


class Project:
    """The project file at `path`. Raises InputError."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise InputError(
                f"{path} can't be read: {error.strerror or error}.", "Check its name and place."
            ) from error
        if len(data) > _MAX_BYTES or not data.lstrip().startswith(b"<REAPER_PROJECT"):
            raise InputError(f"{path} is not a project of REAPER.", "Give a file that ends in .rpp.")
        self._lines = split_lines(data)
        try:
            blocks = find_blocks(self._lines)
        except ChunkError as error:
            raise InputError(f"{path} can't be used: {error.what}", error.remedy) from error
        self.items = [placed for placed in map(self._placed, _items(blocks)) if placed is not None]

    def of(self, result: Result) -> list[Placed]:
        """The items that play the file that the job worked on, in the order of the project."""
        return [
            placed
            for placed in self.items
            if placed.item is not None and self._is_source(placed.item, result)
        ]

    def with_stems(self, chosen: Sequence[Placed], result: Result) -> bytes:
        """The project with the stems of these items in a folder below each of their tracks.

        Raises InputError where an item can't be had exactly.
        """
        lines = list(self._lines)
        by_track: dict[int, list[Placed]] = {}
        for placed in chosen:
            by_track.setdefault(placed.track.start, []).append(placed)
        for _, items in sorted(by_track.items(), reverse=True):  # from the end, so that places hold
            self._add_folder(lines, items, result)
        return b"".join(lines)

    def _add_folder(self, lines: list[bytes], items: list[Placed], result: Result) -> None:
        track = items[0].track
        own = _own_lines(lines, track)
        is_bus = next((index for index in own if words(lines[index])[:1] == ["ISBUS"]), None)
        if is_bus is None:
            raise self._refused(items[0], "Its track does not say whether it is a folder.")
        kind, depth = _depth(words(lines[is_bus]))
        copies = [
            [self._copy(placed, result, number) for placed in items] for number in range(len(result.stems))
        ]
        for placed in items:
            _mute(lines, placed)
        if depth < 0:
            lines[is_bus] = replaced(lines[is_bus], b"0 0")
        first = lines[track.start]
        indent = first[: len(first) - len(first.lstrip())]
        end = first[len(first.rstrip(b"\r\n")) :]
        copied = {
            key: lines[index]
            for index in own
            if (key := (words(lines[index]) or [""])[0]) in ("PEAKCOL", "VOLPAN")
        }
        if kind == 1:
            copied.pop(
                "VOLPAN", None
            )  # the stems' folder lies in this track's own, and passes its fader there
        tracks = _track(
            f"{items[0].track_name or 'stems'} (stemfix)", b"1 1", [*copied.values()], indent, end
        )
        copied.pop("VOLPAN", None)
        for number, stem in enumerate(result.stems):
            is_last = number == len(result.stems) - 1
            bus = b"2 %d" % (min(depth, 0) - 1) if is_last else b"0 0"
            body = [*copied.values(), *(line for copy in copies[number] for line in copy)]
            tracks += _track(stem.name, bus, body, indent, end)
        if not lines[track.stop - 1].endswith(b"\n"):
            raise self._refused(items[0], "The project ends within its tracks.")
        lines[track.stop : track.stop] = tracks

    def _copy(self, placed: Placed, result: Result, number: int) -> list[bytes]:
        if placed.item is None:
            raise self._refused(placed, placed.refusal)
        try:
            return placed.item.copy(result.stems[number], result, self.path.parent)
        except ChunkError as error:
            raise self._refused(placed, error.what, error.remedy) from error

    def _refused(self, placed: Placed, what: str, remedy: str = "Use the action in REAPER.") -> InputError:
        at = f" at {placed.item.position_s:g} s" if placed.item else ""
        return InputError(
            f"{self.path}: the item{at} on track '{placed.track_name}' can't be done here. {what}", remedy
        )

    def _placed(self, found: tuple[Block, Block]) -> Placed | None:
        block, track = found
        own = _own_lines(self._lines, track)
        names = [" ".join(text[1:]) for index in own if (text := words(self._lines[index]))[:1] == ["NAME"]]
        place = (block.start, block.stop, track, names[0] if names else "")
        try:
            return Placed(Item.parse(self._lines[block.start : block.stop]), "", *place)
        except ChunkError as error:
            return Placed(None, error.what, *place)

    def _is_source(self, item: Item, result: Result) -> bool:
        if PureWindowsPath(item.file).drive and os.name != "nt":
            return False
        path = os.path.realpath(self.path.parent / item.file.replace("\\", os.sep))
        return os.path.normcase(path) == os.path.normcase(os.path.realpath(result.source))


def choose(found: Sequence[Placed], result: Result, *, all_of_them: bool, number: int | None) -> list[Placed]:
    """Which of the items that play the job's file get its stems. Raises OptionError."""
    fitting = [placed for placed in found if placed.item is not None and placed.item.is_covered_by(result)]
    if number is not None:
        if not 1 <= number <= len(fitting):
            raise OptionError(
                f"There is no item {number}; there are {len(fitting)}.", "Choose another number."
            )
        return [fitting[number - 1]]
    if not fitting:
        what = "plays what the job worked on" if found else f"plays {result.source}"
        raise OptionError(f"No item of the project {what}.", "Choose another job or project.")
    if len(fitting) > 1 and not all_of_them:
        where = "; ".join(
            f"{index}: '{placed.track_name}' at {placed.item.position_s:g} s"
            for index, placed in enumerate(fitting[:9], start=1)
            if placed.item is not None
        )
        more = " and more" if len(fitting) > 9 else ""
        raise OptionError(
            f"{len(fitting)} items play what the job worked on ({where}{more}).",
            "Say which one with --item, or --all.",
        )
    return list(fitting)


def _items(blocks: list[Block]) -> list[tuple[Block, Block]]:
    """The items that lie on tracks, not in frozen ones, with their tracks."""
    found = []
    for block in blocks:
        if block.name != "ITEM" or block.parent is None:
            continue
        track = blocks[block.parent]
        if track.name == "TRACK" and track.parent == 0:
            found.append((block, track))
    return found


def _own_lines(lines: Sequence[bytes], block: Block) -> list[int]:
    """The lines of a block that are in no block within it."""
    own, depth = [], 0
    for index in range(block.start + 1, block.stop - 1):
        text = lines[index].strip()
        if text.startswith(b"<"):
            depth += 1
        elif text == b">":
            depth -= 1
        elif depth == 0:
            own.append(index)
    return own


def _mute(lines: list[bytes], placed: Placed) -> None:
    block = Block("ITEM", placed.start, placed.stop, None)
    for index in _own_lines(lines, block):
        found = words(lines[index])
        if found[:1] == ["MUTE"]:
            lines[index] = replaced(lines[index], b" ".join([b"1", *(word.encode() for word in found[2:])]))
            return
    raise ChunkError("An item does not say whether it is muted.", "Use the action in REAPER.")


def _depth(found: list[str]) -> tuple[int, int]:
    try:
        kind, depth = int(found[1]), int(found[2])
    except (IndexError, ValueError):
        raise ChunkError("A track's line ISBUS is not as REAPER writes it.", "The file is damaged.") from None
    return kind, depth


def _track(name: str, is_bus: bytes, body: list[bytes], indent: bytes, end: bytes) -> list[bytes]:
    guid = new_guid()
    return [
        indent + b"<TRACK " + guid + end,
        indent + b"  NAME " + quoted(name) + end,
        indent + b"  ISBUS " + is_bus + end,
        indent + b"  TRACKID " + guid + end,
        *body,
        indent + b">" + end,
    ]

"""The project that is open in REAPER: what is in it, and a job's stems put into it in one undo step.

`api` is what `connection.connected` gives. Functions return here what REAPER's Python returns: the value, then
every argument, those that are written to changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daw_bridge.reaper.chunk import ChunkError, number, quoted, split_lines
from daw_bridge.reaper.connection import held
from daw_bridge.reaper.item import Item
from daw_bridge.reaper.result import Result, Stem
from engine.errors import InputError, StemfixError

UNDO_LABEL = "stemfix: Enhance selected item"
_CURRENT = 0
_TEXT_BYTES, _CHUNK_BYTES = 4096, 4_000_000
_FOLDER_COPIES = ("D_VOL", "D_PAN", "D_WIDTH", "I_PANMODE", "D_PANLAW")


@dataclass(frozen=True)
class OpenProject:
    """One tab; the first that is listed is the one in front."""

    handle: str
    #: Empty for a project that was never saved.
    path: str


@dataclass(frozen=True)
class OpenTrack:
    """One track of the project in front."""

    name: str
    items: int
    folder_depth: int


@dataclass(frozen=True)
class OpenItem:
    """One item of the project in front."""

    handle: str
    item: Item | None
    #: The file that it plays a part of; None if there is none.
    file: Path | None
    #: Why it can't be used; empty if it can.
    refusal: str


def projects(api: Any) -> list[OpenProject]:
    """The open projects."""
    front = api.EnumProjects(-1, "", _TEXT_BYTES)
    found = [OpenProject(front[0], front[2])]
    index = 0
    while not _is_null((one := api.EnumProjects(index, "", _TEXT_BYTES))[0]):
        if one[0] != front[0]:
            found.append(OpenProject(one[0], one[2]))
        index += 1
    return found


def tracks(api: Any) -> list[OpenTrack]:
    """The tracks of the project in front."""
    handles = [api.GetTrack(_CURRENT, index) for index in range(api.CountTracks(_CURRENT))]
    return [
        OpenTrack(
            api.GetTrackName(handle, "", _TEXT_BYTES)[2],
            api.CountTrackMediaItems(handle),
            int(api.GetMediaTrackInfo_Value(handle, "I_FOLDERDEPTH")),
        )
        for handle in handles
    ]


def selected_items(api: Any) -> list[OpenItem]:
    """The selected items of the project in front."""
    count = api.CountSelectedMediaItems(_CURRENT)
    return [_open_item(api, api.GetSelectedMediaItem(_CURRENT, index)) for index in range(count)]


def items_of(api: Any, result: Result, guid: str | None = None) -> list[OpenItem]:
    """The items that get a job's stems: the one that was sent, the selected ones that play what the job had,
    or the only one that does. Raises InputError where that leaves a choice, or nothing.
    """
    count = api.CountMediaItems(_CURRENT)
    found = [_open_item(api, api.GetMediaItem(_CURRENT, index)) for index in range(count)]
    if guid and (sent := [one for one in found if one.item is not None and one.item.guid == guid]):
        return sent
    fitting = [
        one for one in found if one.item is not None and _plays(one, result) and one.item.is_covered_by(result)
    ]
    chosen = [one for one in fitting if one.item is not None and one.item.is_selected] or fitting
    if not chosen:
        raise InputError(
            f"No item of the open project plays what the job worked on ({result.source}).",
            f"Open the project in REAPER; the stems are in {result.folder}.",
        )
    if len(fitting) > 1 and chosen is fitting:
        raise InputError(
            f"{len(fitting)} items of the open project play what the job worked on.",
            "Select those that shall get the stems.",
        )
    return chosen


def import_result(
    api: Any,
    result: Result,
    items: Iterable[OpenItem],
    hold: Callable[[], AbstractContextManager[None]] = held,
) -> int:
    """Put the stems in a folder below each track of `items`, mute these, and return how many there were.

    It is one undo step. Raises StemfixError, and then the project is as it was.
    """
    items = list(items)
    with hold():
        # As they are now: the user may have moved or cut them since.
        now = [_open_item(api, one.handle, with_file=False) for one in items]
        copies = [_copies(one, result) for one in now]
        _check_files(api, result.stems, result.frames / result.sample_rate)
        by_track: dict[str, list[int]] = {}
        for place, one in enumerate(now):
            by_track.setdefault(api.GetMediaItem_Track(one.handle), []).append(place)

        def change() -> None:
            for track, places in by_track.items():
                _add_below(api, track, result.stems, [copies[place] for place in places])
            for one in now:
                api.SetMediaItemInfo_Value(one.handle, "B_MUTE", 1.0)

        _in_one_step(api, change)
    return len(now)


def place_result(
    api: Any,
    result: Result,
    time_s: float,
    name: str,
    hold: Callable[[], AbstractContextManager[None]] = held,
) -> float:
    """Put the stems on new tracks at the end, so that they begin at `time_s` on the project's ruler.

    Returns the place in seconds from the project's start. Raises StemfixError, and then the project is as it was.
    """
    with hold():
        position = time_s - api.GetProjectTimeOffset(_CURRENT, False)
        if position < -0.5 / result.sample_rate:
            raise InputError(
                f"{result.source} was rendered before the start of the open project.",
                f"Open the project that it was rendered from; the stems are in {result.folder}.",
            )
        position = max(position, 0.0)
        length = result.frames / result.sample_rate
        _check_files(api, result.stems, length)
        copies = [_new_item(stem, position, length) for stem in result.stems]
        index = api.CountTracks(_CURRENT)
        _in_one_step(
            api, lambda: _add_tracks(api, index, f"{name} (stemfix)", result.stems, [copies], closes=1)
        )
    return position


def _in_one_step(api: Any, change: Callable[[], None]) -> None:
    api.Undo_BeginBlock2(_CURRENT)
    api.PreventUIRefresh(1)
    try:
        change()
    except BaseException:
        with suppress(Exception):
            _end_step(api)
            if api.Undo_CanUndo2(_CURRENT) == UNDO_LABEL:
                api.Undo_DoUndo2(_CURRENT)
        raise
    _end_step(api)


def _end_step(api: Any) -> None:
    api.PreventUIRefresh(-1)
    api.Undo_EndBlock2(_CURRENT, UNDO_LABEL, -1)
    api.TrackList_AdjustWindows(False)
    api.UpdateArrange()


def _add_below(api: Any, track: str, stems: tuple[Stem, ...], copies: list[list[str]]) -> None:
    index = int(api.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER"))
    depth = int(api.GetMediaTrackInfo_Value(track, "I_FOLDERDEPTH"))
    name = api.GetTrackName(track, "", _TEXT_BYTES)[2]
    if depth < 0:
        api.SetMediaTrackInfo_Value(track, "I_FOLDERDEPTH", 0.0)
    handles = _add_tracks(api, index, f"{name} (stemfix)", stems, copies, closes=1 - min(depth, 0))
    if depth < 1:  # in a folder's own the stems pass its fader anyway
        for key in _FOLDER_COPIES:
            api.SetMediaTrackInfo_Value(handles[0], key, api.GetMediaTrackInfo_Value(track, key))
    colour = api.GetMediaTrackInfo_Value(track, "I_CUSTOMCOLOR")
    for handle in handles:
        api.SetMediaTrackInfo_Value(handle, "I_CUSTOMCOLOR", colour)


def _add_tracks(
    api: Any, index: int, name: str, stems: tuple[Stem, ...], copies: list[list[str]], *, closes: int
) -> list[str]:
    """A folder at `index` with one track per stem; the last one ends `closes` folders."""
    names = [name, *(stem.name for stem in stems)]
    depths = [1, *(0 for _ in stems[1:]), -closes]
    handles = []
    for place, (title, depth) in enumerate(zip(names, depths, strict=True)):
        api.InsertTrackAtIndex(index + place, False)
        handle = api.GetTrack(_CURRENT, index + place)
        if _is_null(handle):
            raise StemfixError("REAPER did not make a track.", "Try again.")
        api.GetSetMediaTrackInfo_String(handle, "P_NAME", title, True)
        api.SetMediaTrackInfo_Value(handle, "I_FOLDERDEPTH", float(depth))
        handles.append(handle)
    for chunks in copies:
        for handle, chunk in zip(handles[1:], chunks, strict=True):
            item = api.AddMediaItemToTrack(handle)
            if _is_null(item) or not _success(api.SetItemStateChunk(item, chunk, False)):
                raise StemfixError("REAPER did not take an item.", "Try again.")
    return handles


def _copies(one: OpenItem, result: Result) -> list[str]:
    if one.item is None:
        raise InputError(f"An item can't be used. {one.refusal}", "Choose another item.")
    try:
        chunks = [one.item.copy(stem, result) for stem in result.stems]
    except ChunkError as error:
        raise InputError(f"The item at {one.item.position_s:g} s can't be used. {error.what}", error.remedy) from error
    return [b"".join(chunk).decode("utf-8", "surrogateescape") for chunk in chunks]


def _check_files(api: Any, stems: Iterable[Stem], length_s: float) -> None:
    for stem in stems:
        source = api.PCM_Source_CreateFromFile(str(stem.path))
        if _is_null(source):
            raise InputError(f"REAPER can't open {stem.path}.", "Look whether the file is there.")
        length = api.GetMediaSourceLength(source, False)[0]
        api.PCM_Source_Destroy(source)
        if abs(length - length_s) > 1e-5:
            raise InputError(f"{stem.path} lasts {length:.6f} s, not {length_s:.6f} s.", "Run the job again.")


def _open_item(api: Any, handle: str, with_file: bool = True) -> OpenItem:
    found = api.GetItemStateChunk(handle, "", _CHUNK_BYTES, False)
    if not found[0]:
        raise StemfixError("REAPER did not tell about an item.", "It was deleted, perhaps. Try again.")
    lines = split_lines(found[2].rstrip("\0").encode("utf-8", "surrogateescape"))
    try:
        item = Item.parse(lines)
    except ChunkError as error:
        return OpenItem(handle, None, None, error.what)
    return OpenItem(handle, item, _root_file(api, handle) if with_file else None, "")


def _root_file(api: Any, handle: str) -> Path | None:
    take = api.GetActiveTake(handle)
    source = None if _is_null(take) else api.GetMediaItemTake_Source(take)
    while source is not None and not _is_null(parent := api.GetMediaSourceParent(source)):
        source = parent
    if source is None or _is_null(source):
        return None
    name = api.GetMediaSourceFileName(source, "", _TEXT_BYTES)[1]
    return Path(name) if name else None


def _plays(one: OpenItem, result: Result) -> bool:
    return one.file is not None and os.path.normcase(os.path.realpath(one.file)) == os.path.normcase(
        os.path.realpath(result.source)
    )


def _new_item(stem: Stem, position_s: float, length_s: float) -> str:
    kind = "FLAC" if stem.path.suffix.lower() == ".flac" else "WAVE"
    lines = [
        "<ITEM",
        f"POSITION {number(position_s).decode()}",
        f"LENGTH {number(length_s).decode()}",
        "LOOP 0",
        f"NAME {quoted(stem.name).decode()}",
        "SOFFS 0",
        f"<SOURCE {kind}",
        f"FILE {quoted(str(stem.path)).decode('utf-8', 'surrogateescape')}",
        ">",
        ">",
    ]
    return "\n".join(lines) + "\n"


def _success(found: Any) -> bool:
    return bool(found[0] if isinstance(found, (list, tuple)) else found)


def _is_null(handle: Any) -> bool:
    return not handle or str(handle).lower().endswith("0x0000000000000000")

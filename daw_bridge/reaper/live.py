"""The project that is open in REAPER: its tabs, tracks and items.

`api` is what `connection.connected` gives. Functions return here what REAPER's Python returns: the value,
then every argument, those that are written to changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daw_bridge.reaper.chunk import ChunkError, split_lines
from daw_bridge.reaper.item import Item
from daw_bridge.reaper.result import Result
from engine.errors import InputError, StemfixError

#: The project in front.
CURRENT = 0
#: Room for a name or a path.
TEXT_BYTES = 4096
_CHUNK_BYTES = 4_000_000


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
    front = api.EnumProjects(-1, "", TEXT_BYTES)
    found = [OpenProject(front[0], front[2])]
    index = 0
    while not is_null((one := api.EnumProjects(index, "", TEXT_BYTES))[0]):
        if one[0] != front[0]:
            found.append(OpenProject(one[0], one[2]))
        index += 1
    return found


def tracks(api: Any) -> list[OpenTrack]:
    """The tracks of the project in front."""
    handles = [api.GetTrack(CURRENT, index) for index in range(api.CountTracks(CURRENT))]
    return [
        OpenTrack(
            api.GetTrackName(handle, "", TEXT_BYTES)[2],
            api.CountTrackMediaItems(handle),
            int(api.GetMediaTrackInfo_Value(handle, "I_FOLDERDEPTH")),
        )
        for handle in handles
    ]


def selected_items(api: Any) -> list[OpenItem]:
    """The selected items of the project in front."""
    project = api.EnumProjects(-1, "", TEXT_BYTES)[2]
    count = api.CountSelectedMediaItems(CURRENT)
    return [open_item(api, api.GetSelectedMediaItem(CURRENT, index), project) for index in range(count)]


def items_of(api: Any, result: Result, guid: str | None = None) -> list[OpenItem]:
    """The items that get a job's stems: the one that was sent, the selected ones that play what the job had,
    or the only one that does. Raises InputError where that leaves a choice, or nothing.
    """
    project = api.EnumProjects(-1, "", TEXT_BYTES)[2]
    count = api.CountMediaItems(CURRENT)
    found = [open_item(api, api.GetMediaItem(CURRENT, index), project) for index in range(count)]
    if guid and (sent := [one for one in found if one.item is not None and one.item.guid == guid]):
        return sent
    fitting = [
        one
        for one in found
        if one.item is not None and _plays(one, result) and one.item.is_covered_by(result)
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


def open_item(api: Any, handle: str, project: str = "") -> OpenItem:
    """The item behind a handle, as it is now; its file counts from the project. Raises StemfixError."""
    found = api.GetItemStateChunk(handle, "", _CHUNK_BYTES, False)
    if not found[0]:
        raise StemfixError("REAPER did not tell about an item.", "It was deleted, perhaps. Try again.")
    lines = split_lines(found[2].rstrip("\0").encode("utf-8", "surrogateescape"))
    try:
        item = Item.parse(lines)
    except ChunkError as error:
        return OpenItem(handle, None, None, error.what)
    return OpenItem(handle, item, Path(project).parent / item.file, "")


def _plays(one: OpenItem, result: Result) -> bool:
    return one.file is not None and os.path.normcase(os.path.realpath(one.file)) == os.path.normcase(
        os.path.realpath(result.source)
    )


def is_null(handle: Any) -> bool:
    """Whether REAPER meant nothing by this handle."""
    return not handle or str(handle).lower().endswith("0x0000000000000000")

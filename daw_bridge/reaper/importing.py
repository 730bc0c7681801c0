"""A job's stems put into the project that is open in REAPER, in one undo step or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from typing import Any

from daw_bridge.reaper.chunk import ChunkError, number, quoted
from daw_bridge.reaper.connection import held
from daw_bridge.reaper.live import CURRENT, TEXT_BYTES, OpenItem, is_null, open_item
from daw_bridge.reaper.result import Result, Stem
from engine.errors import InputError, StemfixError

UNDO_LABEL = "stemfix: Enhance selected item"
_FOLDER_COPIES = ("D_VOL", "D_PAN", "D_WIDTH", "I_PANMODE", "D_PANLAW")


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
        now = [open_item(api, one.handle) for one in items]
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

    Returns the place in seconds from the project's start. Raises StemfixError, and then the project is as
    it was.
    """
    with hold():
        position: float = time_s - api.GetProjectTimeOffset(CURRENT, False)
        if position < -0.5 / result.sample_rate:
            raise InputError(
                f"{result.source} was rendered before the start of the open project.",
                f"Open the project that it was rendered from; the stems are in {result.folder}.",
            )
        position = max(position, 0.0)
        length = result.frames / result.sample_rate
        _check_files(api, result.stems, length)
        copies = [_new_item(stem, position, length) for stem in result.stems]
        index = api.CountTracks(CURRENT)
        _in_one_step(
            api, lambda: _add_tracks(api, index, f"{name} (stemfix)", result.stems, [copies], closes=1)
        )
    return position


def _in_one_step(api: Any, change: Callable[[], object]) -> None:
    api.Undo_BeginBlock2(CURRENT)
    api.PreventUIRefresh(1)
    try:
        change()
    except BaseException:
        with suppress(Exception):
            _end_step(api)
            if api.Undo_CanUndo2(CURRENT) == UNDO_LABEL:
                api.Undo_DoUndo2(CURRENT)
        raise
    _end_step(api)


def _end_step(api: Any) -> None:
    api.PreventUIRefresh(-1)
    api.Undo_EndBlock2(CURRENT, UNDO_LABEL, -1)
    api.TrackList_AdjustWindows(False)
    api.UpdateArrange()


def _add_below(api: Any, track: str, stems: tuple[Stem, ...], copies: list[list[str]]) -> None:
    index = int(api.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER"))
    depth = int(api.GetMediaTrackInfo_Value(track, "I_FOLDERDEPTH"))
    name = api.GetTrackName(track, "", TEXT_BYTES)[2]
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
        handle = api.GetTrack(CURRENT, index + place)
        if is_null(handle):
            raise StemfixError("REAPER did not make a track.", "Try again.")
        api.GetSetMediaTrackInfo_String(handle, "P_NAME", title, True)
        api.SetMediaTrackInfo_Value(handle, "I_FOLDERDEPTH", float(depth))
        handles.append(handle)
    for chunks in copies:
        for handle, chunk in zip(handles[1:], chunks, strict=True):
            item = api.AddMediaItemToTrack(handle)
            if is_null(item) or not _success(api.SetItemStateChunk(item, chunk, False)):
                raise StemfixError("REAPER did not take an item.", "Try again.")
    return handles


def _copies(one: OpenItem, result: Result) -> list[str]:
    if one.item is None:
        raise InputError(f"An item can't be used. {one.refusal}", "Choose another item.")
    try:
        chunks = [one.item.copy(stem, result) for stem in result.stems]
    except ChunkError as error:
        raise InputError(
            f"The item at {one.item.position_s:g} s can't be used. {error.what}", error.remedy
        ) from error
    return [b"".join(chunk).decode("utf-8", "surrogateescape") for chunk in chunks]


def _check_files(api: Any, stems: Iterable[Stem], length_s: float) -> None:
    for stem in stems:
        source = api.PCM_Source_CreateFromFile(str(stem.path))
        if is_null(source):
            raise InputError(f"REAPER can't open {stem.path}.", "Look whether the file is there.")
        length = api.GetMediaSourceLength(source, False)[0]
        api.PCM_Source_Destroy(source)
        if abs(length - length_s) > 1e-5:
            raise InputError(f"{stem.path} lasts {length:.6f} s, not {length_s:.6f} s.", "Run the job again.")


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

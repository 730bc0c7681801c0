"""The functions of REAPER that the scripts use, over the model; named and shaped as in ReaScript's Lua."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from model import Accessor, Item, Project, Source, Take, Track, guid, read_source, source_lines
from render import channels, take_sound

if TYPE_CHECKING:
    from reaper import Reaper


class ApiError(Exception):
    """What a script did that REAPER would not let pass."""


def _info(thing: Any, name: str) -> float:
    if name not in thing.info:
        raise ApiError(f"there is no {name} here")
    return float(thing.info[name])


class Api:
    """One method per function; None and 0 stand for the active project, as in REAPER."""

    def __init__(self, host: Reaper) -> None:
        self._host = host

    def _project(self, project: Project | None) -> Project:
        return project or self._host.active

    def _changed(self, thing: Track | Item | Take) -> None:
        if isinstance(thing, Take):
            thing = thing.item
        track = thing.track if isinstance(thing, Item) else thing
        track.project.changes += 1

    # Projects and selections

    def EnumProjects(self, index: int) -> Any:
        if index == -1:
            return self._host.active, self._host.active.path
        if index < len(self._host.projects):
            return self._host.projects[index], self._host.projects[index].path
        return None, ""

    def SelectProjectInstance(self, project: Project) -> None:
        self._host.active = project

    def GetProjectPathEx(self, project: Project | None, *_: str) -> str:
        return self._project(project).folder

    def GetPlayStateEx(self, project: Project | None) -> int:
        return self._project(project).play_state

    def GetSet_LoopTimeRange2(
        self, project: Project | None, is_set: bool, loop: bool, start: float, end: float, seek: bool
    ) -> Any:
        if is_set:
            raise ApiError("nobody asked to change the time selection")
        return self._project(project).time_selection

    def _selected(self, project: Project | None) -> list[Item]:
        return [item for item in self._project(project).items() if item.info["B_UISEL"]]

    def CountSelectedMediaItems(self, project: Project | None) -> int:
        return len(self._selected(project))

    def GetSelectedMediaItem(self, project: Project | None, index: int) -> Item | None:
        return _at(self._selected(project), index)

    def CountSelectedTracks(self, project: Project | None) -> int:
        return sum(track.info["I_SELECTED"] > 0 for track in self._project(project).tracks)

    def GetSelectedTrack(self, project: Project | None, index: int) -> Track | None:
        return _at([track for track in self._project(project).tracks if track.info["I_SELECTED"]], index)

    def CountMediaItems(self, project: Project | None) -> int:
        return len(self._project(project).items())

    def GetMediaItem(self, project: Project | None, index: int) -> Item | None:
        return _at(self._project(project).items(), index)

    def CountTrackMediaItems(self, track: Track) -> int:
        return len(track.items)

    def GetTrackMediaItem(self, track: Track, index: int) -> Item | None:
        return _at(track.items, index)

    def GetTrack(self, project: Project | None, index: int) -> Track | None:
        return _at(self._project(project).tracks, index)

    def ValidatePtr2(self, project: Project | None, thing: Any, kind: str) -> bool:
        return self._host.is_alive(thing, kind)

    # Tracks

    def InsertTrackAtIndex(self, index: int, defaults: bool) -> None:
        project = self._host.active
        track = project.add_track(index=max(0, min(int(index), len(project.tracks))))
        if defaults:
            track.effects.append("the user's default effect")
        self._changed(track)

    def GetMediaTrackInfo_Value(self, track: Track, name: str) -> float:
        if name == "IP_TRACKNUMBER":
            return track.project.tracks.index(track) + 1.0
        return _info(track, name)

    def SetMediaTrackInfo_Value(self, track: Track, name: str, value: float) -> bool:
        _info(track, name)
        track.info[name] = float(value)
        self._changed(track)
        return True

    def GetSetMediaTrackInfo_String(self, track: Track, name: str, value: str, is_set: bool) -> Any:
        return self._string(track, name, value, is_set)

    def TrackFX_GetCount(self, track: Track) -> int:
        return len(track.effects)

    def TrackFX_CopyToTrack(self, track: Track, effect: int, target: Track, place: int, move: bool) -> None:
        target.effects.insert(int(place), track.effects[int(effect)])
        self._changed(target)

    def TrackList_AdjustWindows(self, minor: bool) -> None:
        pass

    def UpdateArrange(self) -> None:
        pass

    def ColorToNative(self, red: int, green: int, blue: int) -> int:
        return int(red) << 16 | int(green) << 8 | int(blue)

    # Items and takes

    def _string(self, thing: Any, name: str, value: str, is_set: bool) -> Any:
        if name == "GUID" and not is_set:
            return True, thing.guid
        if name != "P_NAME" or isinstance(thing, Item):
            raise ApiError(f"there is no {name} here")
        if is_set:
            thing.name = value
            self._changed(thing)
        return True, thing.name

    def AddMediaItemToTrack(self, track: Track) -> Item:
        self._changed(track)
        return track.add_item()

    def AddTakeToMediaItem(self, item: Item) -> Take:
        item.takes.append(Take(item))
        self._changed(item)
        return item.takes[-1]

    def GetMediaItem_Track(self, item: Item) -> Track:
        return item.track

    def GetMediaItemInfo_Value(self, item: Item, name: str) -> float:
        return _info(item, name)

    def SetMediaItemInfo_Value(self, item: Item, name: str, value: float) -> bool:
        _info(item, name)
        item.info[name] = float(value)
        self._changed(item)
        return True

    def GetSetMediaItemInfo_String(self, item: Item, name: str, value: str, is_set: bool) -> Any:
        return self._string(item, name, value, is_set)

    def SplitMediaItem(self, item: Item, position: float) -> Item | None:
        start, length = item.info["D_POSITION"], item.info["D_LENGTH"]
        if not start < position < start + length:
            return None
        right = item.track.add_item(**item.info)
        right.info |= {
            "D_POSITION": position,
            "D_LENGTH": start + length - position,
            "D_FADEINLEN": 0.0,
            "D_SNAPOFFSET": 0.0,
        }
        item.info |= {"D_LENGTH": position - start, "D_FADEOUTLEN": 0.0}
        for take in item.takes:
            if take.stretch_markers:
                raise ApiError("where stretch markers go in a split is not known")
            copy = Take(right, None, take.name, dict(take.info), guid())
            copy.info["D_STARTOFFS"] += (position - start) * take.info["D_PLAYRATE"]
            if take.source:
                copy.own(read_source(source_lines(take.source)))
            right.takes.append(copy)
        self._changed(item)
        return right

    def GetItemStateChunk(self, item: Item, chunk: str, undo: bool) -> Any:
        return True, item.chunk()

    def SetItemStateChunk(self, item: Item, chunk: str, undo: bool) -> bool:
        """Takes another source only, and gives the item new takes, as REAPER may."""
        lines = chunk.splitlines()
        if len(item.takes) != 1 or sum(line == "<SOURCE SECTION" for line in lines) != 1:
            raise ApiError("this chunk is more than the stand-in understands")
        first = next(number for number, line in enumerate(lines) if line.startswith("<SOURCE"))
        rest = lines[first:]
        try:
            source = read_source(rest)
        except (ValueError, IndexError, KeyError, soundfile.SoundFileError):
            return False
        old = item.takes[0]
        expected = [line for line in item.chunk().splitlines() if line not in source_lines(old.source)[:-1]]  # type: ignore[arg-type]
        expected.remove(">")
        if lines[:first] + rest != expected:
            raise ApiError("the chunk changes more than the source")
        item.takes[0] = Take(item, None, old.name, old.info, old.guid)
        item.takes[0].own(source)
        self._changed(item)
        return True

    def GetActiveTake(self, item: Item) -> Take | None:
        return item.take

    def GetTake(self, item: Item, index: int) -> Take | None:
        return _at(item.takes, index)

    def GetMediaItemNumTakes(self, item: Item) -> int:
        return len(item.takes)

    def TakeIsMIDI(self, take: Take) -> bool:
        return take.source is not None and take.source.kind == "MIDI"

    def TakeFX_GetCount(self, take: Take) -> int:
        return len(take.effects)

    def TakeFX_CopyToTake(self, take: Take, effect: int, target: Take, place: int, move: bool) -> None:
        target.effects.insert(int(place), take.effects[int(effect)])
        self._changed(target)

    def CountTakeEnvelopes(self, take: Take) -> int:
        return take.envelopes

    def GetTakeNumStretchMarkers(self, take: Take) -> int:
        return len(take.stretch_markers)

    def GetTakeStretchMarker(self, take: Take, index: int) -> Any:
        if not 0 <= index < len(take.stretch_markers):
            return -1, 0.0, 0.0
        return (int(index), *take.stretch_markers[int(index)])

    # Audio accessors

    def CreateTakeAudioAccessor(self, take: Take) -> Accessor | None:
        self._host.accessors.append(Accessor(take))
        return self._host.accessors[-1]

    def DestroyAudioAccessor(self, accessor: Accessor) -> None:
        if not self._host.projects:
            raise ApiError("REAPER crashes: it has freed its accessors already")
        self._host.accessors.remove(accessor)

    def AudioAccessorStateChanged(self, accessor: Accessor) -> bool:
        return accessor.state != accessor.current()

    def AudioAccessorValidateState(self, accessor: Accessor) -> bool:
        return accessor.validate()

    def GetAudioAccessorStartTime(self, accessor: Accessor) -> float:
        return self._host.accessor_start

    def new_array(self, size: int) -> None:
        if not 1 <= size <= 4_194_304:
            raise ApiError(f"there is no array of {size} numbers")

    def GetAudioAccessorSamples(
        self, accessor: Accessor, rate: int, count: int, start: float, frames: int, buffer: float
    ) -> Any:
        """Whether there was sound, and what is written, from the buffer's first number on, interleaved.

        Before effects, without volume, pan and fades; nothing is written beyond the item's ends, and nothing
        where there is no sound.
        """
        item = accessor.item
        if item is None or not self._host.is_alive(accessor.take, "MediaItem_Take*"):
            raise ApiError("REAPER crashes: the accessor's take is gone")
        if self._host.accessor_fails:
            return -1, self._host.runtime.table_from([])
        heard = start - self._host.accessor_start + np.arange(int(frames)) / rate
        if heard[0] < -1e-9:
            raise ApiError("what an accessor gives before the item's beginning is not known")
        heard = heard[heard < item.info["D_LENGTH"] - 1e-12]
        if not len(heard):
            return 0, self._host.runtime.table_from([])
        sound = take_sound(item, heard)
        mode = int(accessor.take.info["I_CHANMODE"])
        if self._host.accessor_applies_channel_mode and sound.shape[1] == 2:
            sound = channels(sound, mode)
        if sound.shape[1] != count:
            raise ApiError("channels that are not the source's are not known here")
        if not sound.any():
            return 0, self._host.runtime.table_from([])
        return 1, self._host.runtime.table_from(sound.ravel().tolist())

    def GetMediaItemTakeInfo_Value(self, take: Take, name: str) -> float:
        return _info(take, name)

    def SetMediaItemTakeInfo_Value(self, take: Take, name: str, value: float) -> bool:
        _info(take, name)
        take.info[name] = float(value)
        self._changed(take)
        return True

    def GetSetMediaItemTakeInfo_String(self, take: Take, name: str, value: str, is_set: bool) -> Any:
        return self._string(take, name, value, is_set)

    # Sources

    def GetMediaItemTake_Source(self, take: Take) -> Source | None:
        return take.source

    def SetMediaItemTake_Source(self, take: Take, source: Source) -> bool:
        self._host.loose.remove(source)
        if take.source:
            self._host.loose.append(take.source)
        take.own(source)
        self._changed(take)
        return True

    def PCM_Source_CreateFromFile(self, path: str) -> Source | None:
        try:
            source = Source.of_file(path)
        except soundfile.SoundFileError:
            return None
        self._host.loose.append(source)
        return source

    def PCM_Source_Destroy(self, source: Source) -> None:
        if source not in self._host.loose:
            raise ApiError("a source that a take plays was destroyed")
        self._host.loose.remove(source)

    def PCM_Source_BuildPeaks(self, source: Source, mode: int) -> int:
        """0 where nothing is left to do; otherwise mode 1 is called until it says so, and then mode 2."""
        left = self._host.peaks.setdefault(source, 2)
        if mode == 1:
            self._host.peaks[source] = left = max(left - 1, 0)
        return left

    def PCM_Source_GetSectionInfo(self, source: Source) -> Any:
        return source.parent is not None, source.offset, source.length, source.reversed

    def GetMediaSourceParent(self, source: Source) -> Source | None:
        return source.parent

    def GetMediaSourceFileName(self, source: Source, *_: str) -> str:
        return source.path

    def GetMediaSourceType(self, source: Source, *_: str) -> str:
        return source.kind

    def GetMediaSourceLength(self, source: Source) -> Any:
        return source.length, False

    def GetMediaSourceSampleRate(self, source: Source) -> int:
        return source.rate

    def GetMediaSourceNumChannels(self, source: Source) -> int:
        return source.channels

    # Undo

    def Undo_BeginBlock2(self, project: Project | None) -> None:
        project = self._project(project)
        project.block += 1
        if project.block == 1:
            project.at_block = project.changes, project.snapshot()

    def Undo_EndBlock2(self, project: Project | None, label: str, flags: int) -> None:
        project = self._project(project)
        if project.block == 0 or project.at_block is None:
            raise ApiError("an undo block ends that never began")
        if flags != -1:
            raise ApiError("an undo step has to hold everything")
        project.block -= 1
        changes, before = project.at_block
        if project.block == 0 and changes != project.changes:
            project.undo.append((label, before))
            project.redo.clear()

    def Undo_CanUndo2(self, project: Project | None) -> str | None:
        undo = self._project(project).undo
        return undo[-1][0] if undo else None

    def Undo_DoUndo2(self, project: Project | None) -> int:
        project = self._project(project)
        if not project.undo:
            return 0
        project.undo_last()
        return 1

    def PreventUIRefresh(self, count: int) -> None:
        self._host.prevented += int(count)

    # The program

    def GetOS(self) -> str:
        return self._host.system

    def time_precise(self) -> float:
        return self._host.now()

    def genGuid(self, buffer: str) -> str:
        return f"{{{str(uuid.uuid4()).upper()}}}"

    def GetExtState(self, section: str, key: str) -> str:
        return self._host.ext.get((section, key), "")

    def SetExtState(self, section: str, key: str, value: str, persist: bool) -> None:
        self._host.ext[section, key] = value

    def DeleteExtState(self, section: str, key: str, persist: bool) -> None:
        self._host.ext.pop((section, key), None)

    def EnumerateFiles(self, path: str, index: int) -> str | None:
        """As REAPER does, it remembers a folder's listing until it is asked for entry -1."""
        if index == -1:
            self._host.listings.pop(path, None)
            return None
        if path not in self._host.listings:
            folder = Path(path)
            self._host.listings[path] = (
                sorted((p.name for p in folder.iterdir() if p.is_file()), reverse=True)
                if folder.is_dir()
                else []
            )
        return _at(self._host.listings[path], index)

    def RecursiveCreateDirectory(self, path: str, ignored: int) -> int:
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError:
            return 0
        return 1

    def ShowMessageBox(self, message: str, title: str, kind: int) -> int:
        self._host.messages.append(message)
        return self._host.answer if kind == 4 else 1

    def GetUserInputs(self, title: str, count: int, captions: str, values: str) -> Any:
        self._host.inputs.append(values)
        return (self._host.input is not None, self._host.input or values)

    def ExecProcess(self, command: str, wait_ms: int) -> str | None:
        if wait_ms >= 0:
            raise ApiError("REAPER stands still until the program ends")
        self._host.started.append(command)
        return self._host.on_start(command)

    def get_action_context(self) -> Any:
        return True, self._host.script, 0, 32000, 0, 0, 0.0, ""

    def set_action_options(self, flag: int) -> None:
        self._host.options.append(flag)

    def defer(self, function: int) -> None:
        self._host.deferred.append(lambda: self._host.call_kept(function))

    def atexit(self, function: int) -> None:
        self._host.at_exit.append(lambda: self._host.call_kept(function))


def _at(things: list[Any], index: int) -> Any:
    return things[int(index)] if 0 <= index < len(things) else None


def cpu_s() -> float:
    """Seconds of this thread: what other programs do does not count."""
    return time.thread_time()

"""A stand-in for REAPER's Python: `python fake_reaper_host.py SCRIPT PORT STATE.json [RESOURCE]`.

It runs an unchanged ReaScript, which runs the unchanged server of reapy or stemfix's, over real sockets. Only
REAPER's own functions are stood in for: their names and the number of their arguments as in its header file,
handles that go stale, undo that brings everything back. STATE.json says what the project holds. Commands come
on standard input, one JSON list per line: ["state"], ["fail", FUNCTION, CALL], ["delete items"], ["undo"],
["quit"].
"""

from __future__ import annotations

import copy
import ctypes
import json
import queue
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

SCRIPT, PORT, STATE = sys.argv[1], int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
MAIN = sys.modules["__main__"]
MAIN.obj = object()  # type: ignore[attr-defined] # how reapy knows that it is inside REAPER
TICK_S = 1 / 60
#: Name -> number of arguments, from Cockos' reaper_plugin_functions.h.
ARITIES = {
    "AddMediaItemToTrack": 1,
    "CountMediaItems": 1,
    "CountSelectedMediaItems": 1,
    "CountTrackMediaItems": 1,
    "CountTracks": 1,
    "EnumProjects": 3,
    "GetAppVersion": 0,
    "GetItemStateChunk": 4,
    "GetMediaItem": 2,
    "GetMediaItem_Track": 1,
    "GetMediaSourceLength": 2,
    "GetMediaTrackInfo_Value": 2,
    "GetProjectTimeOffset": 2,
    "GetSelectedMediaItem": 2,
    "GetSetMediaTrackInfo_String": 4,
    "GetTrack": 2,
    "GetTrackName": 3,
    "InsertTrackAtIndex": 2,
    "PCM_Source_CreateFromFile": 1,
    "PCM_Source_Destroy": 1,
    "PreventUIRefresh": 1,
    "SetItemStateChunk": 3,
    "SetMediaItemInfo_Value": 3,
    "SetMediaTrackInfo_Value": 3,
    "TrackList_AdjustWindows": 1,
    "Undo_BeginBlock2": 1,
    "Undo_CanUndo2": 1,
    "Undo_DoUndo2": 1,
    "Undo_EndBlock2": 3,
    "UpdateArrange": 0,
    "GetExtState": 2,
    "SetExtState": 4,
    "DeleteExtState": 3,
    "GetResourcePath": 0,
    "ShowConsoleMsg": 1,
    "ExecProcess": 2,
}
FUNCTIONS: dict[str, Any] = {}
LOCK = threading.RLock()


class Project:
    """Tracks, each a dict with `id`, `name`, `info` and `items`; items have `id`, `chunk` and `info`."""

    def __init__(self) -> None:
        self.next_id = 0x1000
        self.tracks: list[dict[str, Any]] = []
        self.undo: list[tuple[str, Any]] = []
        self.block: list[Any] = []
        self.prevented = 0
        self.sources: dict[int, str] = {}
        self.ext_state: dict[str, str] = {}
        self.calls: list[str] = []
        self.fail: tuple[str, int] | None = None
        for track in STATE["tracks"]:
            made = self.new_track(len(self.tracks), track["name"], track.get("info", {}))
            for item in track["items"]:
                made["items"].append({"id": self.new_id(), "chunk": item, "info": {}})

    def new_id(self) -> int:
        self.next_id += 0x40
        return self.next_id

    def new_track(self, index: int, name: str = "", info: dict[str, float] | None = None) -> dict[str, Any]:
        base = {"I_FOLDERDEPTH": 0.0, "D_VOL": 1.0, "D_PAN": 0.0, "I_CUSTOMCOLOR": 0.0}
        track = {"id": self.new_id(), "name": name, "info": {**base, **(info or {})}, "items": []}
        self.tracks.insert(index, track)
        return track

    def find(self, handle: str, kind: str) -> dict[str, Any]:
        if not handle.startswith(f"({kind}*)0x"):
            raise TypeError(f"{handle} is no {kind}")
        number = int(handle.split("0x")[1], 16)
        for track in self.tracks:
            if kind == "MediaTrack" and track["id"] == number:
                return track
            for item in track["items"]:
                if kind == "MediaItem" and item["id"] == number:
                    return item
        raise TypeError(f"{handle} is stale")

    def items(self) -> list[dict[str, Any]]:
        return [item for track in self.tracks for item in track["items"]]


PROJECT = Project()
REAPROJECT = "(ReaProject*)0x0000000000000AAA"


def handle(kind: str, number: int = 0) -> str:
    return f"({kind}*)0x{number:016X}"


def api(function: Any) -> Any:
    name = function.__name__

    def checked(*arguments: Any) -> Any:
        if len(arguments) != ARITIES[name]:
            raise TypeError(f"{name} takes {ARITIES[name]} arguments, got {len(arguments)}")
        PROJECT.calls.append(name)
        if PROJECT.fail and PROJECT.fail[0] == name and PROJECT.calls.count(name) >= PROJECT.fail[1]:
            PROJECT.fail = None
            raise RuntimeError(f"{name} failed")
        return function(*arguments)

    FUNCTIONS[name] = checked
    return checked


@api
def EnumProjects(index: int, buffer: str, size: int) -> Any:
    return (REAPROJECT if index in (-1, 0) else handle("ReaProject"), index, STATE.get("path", ""), size)


@api
def CountTracks(project: Any) -> int:
    return len(PROJECT.tracks)


@api
def GetTrack(project: Any, index: int) -> str:
    found = PROJECT.tracks[index]["id"] if 0 <= index < len(PROJECT.tracks) else 0
    return handle("MediaTrack", found)


@api
def GetTrackName(track: str, buffer: str, size: int) -> Any:
    return (True, track, PROJECT.find(track, "MediaTrack")["name"], size)


@api
def CountTrackMediaItems(track: str) -> int:
    return len(PROJECT.find(track, "MediaTrack")["items"])


@api
def CountMediaItems(project: Any) -> int:
    return len(PROJECT.items())


@api
def GetMediaItem(project: Any, index: int) -> str:
    return handle("MediaItem", PROJECT.items()[index]["id"])


def _selected() -> list[dict[str, Any]]:
    return [item for item in PROJECT.items() if "\nSEL 1\n" in item["chunk"]]


@api
def CountSelectedMediaItems(project: Any) -> int:
    return len(_selected())


@api
def GetSelectedMediaItem(project: Any, index: int) -> str:
    return handle("MediaItem", _selected()[index]["id"])


@api
def GetItemStateChunk(item: str, buffer: str, size: int, isundo: bool) -> Any:
    return (True, item, PROJECT.find(item, "MediaItem")["chunk"], size, isundo)


@api
def SetItemStateChunk(item: str, chunk: str, isundo: bool) -> bool:
    assert chunk.startswith("<ITEM")
    assert chunk.count("<") == chunk.count("\n>")
    PROJECT.find(item, "MediaItem")["chunk"] = chunk
    return True


@api
def GetMediaItem_Track(item: str) -> str:
    found = PROJECT.find(item, "MediaItem")
    return next(handle("MediaTrack", track["id"]) for track in PROJECT.tracks if found in track["items"])


@api
def SetMediaItemInfo_Value(item: str, key: str, value: float) -> bool:
    PROJECT.find(item, "MediaItem")["info"][key] = value
    return True


@api
def PCM_Source_CreateFromFile(file: str) -> str:
    if not Path(file).is_file():
        return handle("PCM_source")
    number = PROJECT.new_id()
    PROJECT.sources[number] = file
    return handle("PCM_source", number)


@api
def PCM_Source_Destroy(source: str) -> None:
    del PROJECT.sources[int(source.split("0x")[1], 16)]


@api
def GetMediaSourceLength(source: str, is_qn: bool) -> Any:
    import soundfile

    info = soundfile.info(PROJECT.sources[int(source.split("0x")[1], 16)])
    return (info.frames / info.samplerate, source, False)


@api
def GetProjectTimeOffset(project: Any, rounded: bool) -> float:
    return float(STATE.get("time_offset", 0.0))


@api
def InsertTrackAtIndex(index: int, defaults: bool) -> None:
    PROJECT.new_track(index)


@api
def GetMediaTrackInfo_Value(track: str, key: str) -> float:
    found = PROJECT.find(track, "MediaTrack")
    return float(PROJECT.tracks.index(found) + 1) if key == "IP_TRACKNUMBER" else found["info"].get(key, 0.0)


@api
def SetMediaTrackInfo_Value(track: str, key: str, value: float) -> bool:
    PROJECT.find(track, "MediaTrack")["info"][key] = value
    return True


@api
def GetSetMediaTrackInfo_String(track: str, key: str, value: str, is_set: bool) -> Any:
    found = PROJECT.find(track, "MediaTrack")
    assert key == "P_NAME"
    if is_set:
        found["name"] = value
    return (True, track, key, found["name"], is_set)


@api
def AddMediaItemToTrack(track: str) -> str:
    item = {"id": PROJECT.new_id(), "chunk": "<ITEM\n>\n", "info": {}}
    PROJECT.find(track, "MediaTrack")["items"].append(item)
    return handle("MediaItem", item["id"])


@api
def Undo_BeginBlock2(project: Any) -> None:
    PROJECT.block.append(copy.deepcopy(PROJECT.tracks))


@api
def Undo_EndBlock2(project: Any, label: str, flags: int) -> None:
    assert flags == -1
    PROJECT.undo.append((label, PROJECT.block.pop()))


@api
def Undo_CanUndo2(project: Any) -> str:
    return PROJECT.undo[-1][0] if PROJECT.undo else ""


@api
def Undo_DoUndo2(project: Any) -> int:
    PROJECT.tracks = PROJECT.undo.pop()[1]
    return 1


@api
def PreventUIRefresh(count: int) -> None:
    PROJECT.prevented += count


@api
def TrackList_AdjustWindows(minor: bool) -> None: ...


@api
def UpdateArrange() -> None: ...


@api
def GetAppVersion() -> str:
    return "7.22/linux-x86_64"


@api
def GetExtState(section: str, key: str) -> str:
    return PROJECT.ext_state.get(f"{section}/{key}", "")


@api
def SetExtState(section: str, key: str, value: str, persist: bool) -> None:
    PROJECT.ext_state[f"{section}/{key}"] = str(value)


@api
def DeleteExtState(section: str, key: str, persist: bool) -> None:
    PROJECT.ext_state.pop(f"{section}/{key}", None)


@api
def GetResourcePath() -> str:
    return "/nonexistent"


@api
def ShowConsoleMsg(text: str) -> None:
    sys.stderr.write(text)


@api
def ExecProcess(command: str, timeout: int) -> str:
    raise AssertionError("a program was started")


def is_there(project: int, pointer: int, kind: bytes) -> int:
    try:
        PROJECT.find(handle(kind.decode().rstrip("*"), pointer), kind.decode().rstrip("*"))
    except TypeError:
        return 0
    return 1


def build_reaper_python() -> tuple[queue.Queue[str], list[str]]:
    module = types.ModuleType("reaper_python")
    for name, function in FUNCTIONS.items():
        setattr(module, f"RPR_{name}", function)
        setattr(MAIN, f"RPR_{name}", function)
    deferred: queue.Queue[str] = queue.Queue()
    at_exit: list[str] = []
    module.RPR_defer = MAIN.RPR_defer = deferred.put  # type: ignore[attr-defined]
    module.RPR_atexit = MAIN.RPR_atexit = at_exit.append  # type: ignore[attr-defined]
    # A real C pointer: reapy calls this one through ctypes.
    prototype = ctypes.CFUNCTYPE(ctypes.c_byte, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_char_p)
    module.keep = prototype(is_there)  # type: ignore[attr-defined]
    module._ft = {"ValidatePtr2": ctypes.cast(module.keep, ctypes.c_void_p).value}  # type: ignore[attr-defined]
    module.rpr_packsc = lambda text: ctypes.c_char_p(str(text).encode())  # type: ignore[attr-defined]
    module.rpr_packp = None  # type: ignore[attr-defined]
    sys.modules["reaper_python"] = module
    return deferred, at_exit


def read_commands(commands: queue.Queue[list[Any]]) -> None:
    for line in sys.stdin:
        commands.put(json.loads(line))
    commands.put(["quit"])


def answer(command: list[Any], longest: float) -> Any:
    if command[0] == "fail":
        PROJECT.fail = (command[1], PROJECT.calls.count(command[1]) + command[2])
    elif command[0] == "delete items":
        for track in PROJECT.tracks:
            track["items"].clear()
    elif command[0] == "undo":
        FUNCTIONS["Undo_DoUndo2"](0)
    return {
        "tracks": PROJECT.tracks,
        "undo": [label for label, _ in PROJECT.undo],
        "open_blocks": len(PROJECT.block),
        "prevented": PROJECT.prevented,
        "ext_state": PROJECT.ext_state,
        "created_sources": len([one for one in PROJECT.sources.values() if "stems" in one]),
        "longest_tick_s": longest,
    }


def main() -> None:
    deferred, at_exit = build_reaper_python()
    import reapy

    reapy.config.REAPY_SERVER_PORT = PORT
    namespace = MAIN.__dict__
    code = compile(Path(SCRIPT).read_text("utf-8"), SCRIPT, "exec")
    exec(code, namespace)
    commands: queue.Queue[list[Any]] = queue.Queue()
    threading.Thread(target=read_commands, args=(commands,), daemon=True).start()
    print(json.dumps("ready"), flush=True)
    longest = 0.0
    while True:
        began = time.monotonic()
        for _ in range(deferred.qsize()):
            exec(deferred.get(), namespace)
        longest = max(longest, time.monotonic() - began)
        while not commands.empty():
            command = commands.get()
            if command[0] == "quit":
                for code_text in at_exit:
                    exec(code_text, namespace)
                return
            print(json.dumps(answer(command, longest)), flush=True)
        time.sleep(TICK_S)


if __name__ == "__main__":
    main()

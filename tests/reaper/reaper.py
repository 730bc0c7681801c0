"""A REAPER to run scripts in: ticks, tabs, message boxes, official signatures, and what went wrong."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from api import Api, ApiError, cpu_s
from model import Accessor, Item, Project, Source, Take, Track

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "reaper_scripts"
SIGNATURES: dict[str, Any] = json.loads((HERE / "api.json").read_text(encoding="utf-8"))
#: Functions that took one more argument, without any use, before REAPER 7.
_ONE_MORE = {"GetMediaSourceFileName", "GetMediaSourceType", "GetProjectPathEx"}
_POINTERS = {"ReaProject*", "MediaTrack*", "MediaItem*", "MediaItem_Take*", "PCM_source*", "AudioAccessor*"}
_TICK_S = 1 / 30

#: Functions stay in Lua, under numbers: in Python they would outlive the coroutine that they came from.
_KEEPER = """
local kept = {}
return function (f)
  assert (type (f) == "function", "defer and atexit take a function")
  kept[#kept + 1] = f
  return #kept
end, function (number)
  local f = kept[number]
  kept[number] = false
  f ()
end
"""
_GLOBALS = """
local calls, gfx_state, keep = ...
local own = {}
for _, name in ipairs ({ "defer", "atexit" }) do
  own[name] = function (...)
    assert (select ("#", ...) == 1, name .. " takes one argument")
    return calls[name] (keep (...))
  end
end
-- reaper.array: its functions are called with a dot; what is in a new one is not documented.
local arrays = setmetatable ({}, { __mode = "k" })
function own.new_array (...)
  assert (select ("#", ...) == 1, "new_array is used with a size here")
  local size, data, methods = ..., {}, {}
  calls.new_array (size)
  for at = 1, size do data[at] = 0.987 end
  function methods.clear (...)
    assert (select ("#", ...) == 0, "clear is used without arguments here")
    for at = 1, size do data[at] = 0.0 end
  end
  function methods.table (offset, count)
    assert (offset >= 1 and offset + count - 1 <= size, "beyond the array")
    return table.move (data, offset, offset + count - 1, 1, {})
  end
  local array = setmetatable ({}, { __index = function (_, key)
    return assert (methods[key], "reaper.array has more, but not here")
  end })
  arrays[array] = { data = data, size = size }
  return array
end
function own.GetAudioAccessorSamples (...)
  local accessor, rate, channels, start, frames, buffer = ...
  local array = assert (arrays[buffer], "the sixth argument of GetAudioAccessorSamples is a reaper.array")
  assert (frames * channels <= array.size, "REAPER crashes: the buffer is too small")
  local read = calls.GetAudioAccessorSamples
  local got, values = read (accessor, rate, channels, start, frames, 0, select (7, ...))
  for at, value in ipairs (values) do array.data[at] = value end
  return got
end
reaper = setmetatable ({}, { __index = function (_, name) return own[name] or calls[name] end,
  __newindex = function () error ("reaper is not to be changed") end })
gfx = setmetatable ({ w = 440, h = 120, x = 0, y = 0 }, { __index = function (_, name)
  if name == "mouse_x" or name == "mouse_y" or name == "mouse_cap" then return gfx_state[name] end
  return gfx_state.call (name)
end })
"""
_KNOWN_GLOBALS = (
    "local t = {} for k in pairs (_G) do t[#t + 1] = k end table.sort (t) return table.concat (t, ' ')"
)
GFX = ("getchar", "init", "quit", "set", "setfont", "rect", "drawstr", "update")
#: Of the extension ReaImGui: function -> how many arguments it takes.
IMGUI = {
    "ImGui_CreateContext": (1, 2),
    "ImGui_SetNextWindowSize": (3, 4),
    "ImGui_Cond_FirstUseEver": (0,),
    "ImGui_Begin": (2, 3, 4),
    "ImGui_Text": (2,),
    "ImGui_ProgressBar": (2, 3, 4, 5),
    "ImGui_Button": (2, 3, 4),
    "ImGui_End": (1,),
}
#: Never freed: lupa may crash where Python collects a runtime together with what it refers to.
_RUNTIMES: list[Any] = []


class ImGui:
    """The part of ReaImGui that is used. What the user does is in `presses` and `closes`."""

    def __init__(self) -> None:
        self.presses = self.closes = self.broken = False
        self.texts: list[str] = []
        self._used_at = -1
        self._open = False

    def call(self, name: str, arguments: tuple[Any, ...], tick: int) -> Any:
        if name == "CreateContext":
            self._used_at = tick
            return self
        if name == "Cond_FirstUseEver":
            return 4
        if self.broken or arguments[0] is not self or tick > self._used_at + 1:
            raise ApiError("expected a valid ImGui_Context*")
        self._used_at = tick
        if name == "Begin":
            self._open = True
            return True, not self.closes
        if name in ("Text", "ProgressBar", "Button", "End") and not self._open:
            raise ApiError(f"ImGui_{name} outside of a window")
        if name == "Text":
            self.texts.append(arguments[1])
        self._open = name != "End" and self._open
        return self.presses if name == "Button" else None


class Reaper:
    """One running REAPER. `lua` is a module of lupa, such as `lupa.lua54`."""

    def __init__(self, lua: ModuleType, data_dir: Path, system: str = "Other") -> None:
        self.lua, self.system, self.data_dir = lua, system, data_dir
        self.projects: list[Project] = []
        self.active: Project = None  # type: ignore[assignment]
        self.ext = {("stemfix", "python"): str(data_dir / "python"), ("stemfix", "data_dir"): str(data_dir)}
        self.messages: list[str] = []
        #: To every question: 6 is yes, 7 is no.
        self.answer = 6
        self.input: str | None = None
        self.inputs: list[str] = []
        self.started: list[str] = []
        self.on_start: Callable[[str], str | None] = lambda command: ""
        #: Sources that no take plays.
        self.loose: list[Source] = []
        self.peaks: dict[Source, int] = {}
        self.accessors: list[Accessor] = []
        #: What no document says: when an accessor's time begins, and whether it applies channel modes.
        self.accessor_start = 0.0
        self.accessor_applies_channel_mode = False
        self.accessor_fails = False
        self.listings: dict[str, list[str]] = {}
        self.options: list[int] = []
        self.prevented = 0
        self.deferred: list[Any] = []
        self.at_exit: list[Any] = []
        self.script = ""
        self.calls: list[str] = []
        self.violations: list[str] = []
        #: Raises to let a call fail: given the function's name and its number among all calls.
        self.before_call: Callable[[str, int], None] = lambda name, number: None
        self.key = 0
        self.mouse = (0, 0, 0)
        self.texts: list[str] = []
        #: ReaImGui, where it is installed: a context that is not used on a tick is gone.
        self.imgui: ImGui | None = None
        self.window_open = False
        #: Seconds of each tick, and whether it changed a project.
        self.ticks: list[tuple[float, bool]] = []
        self._clock = 1000.0
        self._tick_began = 0.0
        self._api = Api(self)
        self.runtime = lua.LuaRuntime(unpack_returned_tuples=True, encoding="utf-8")
        _RUNTIMES.append(self.runtime)
        # lupa hands out a wrong object now and then where Lua collects while objects come in.
        self.runtime.execute('collectgarbage ("stop")')
        self._keep, self.call_kept = self.runtime.execute(_KEEPER)

    # What a user does

    def open(self, path: str, folder: Path, rate: int = 48000) -> Project:
        folder.mkdir(parents=True, exist_ok=True)
        project = Project(path, str(folder), rate)
        self.projects.append(project)
        self.active = project
        return project

    def close(self, project: Project) -> None:
        """Close a tab; REAPER opens an empty one where it was the last."""
        self.projects.remove(project)
        if not self.projects:
            self.projects.append(Project("", project.folder))
        if self.active is project:
            self.active = self.projects[-1]

    # What REAPER does

    def run(
        self, action: str, on_tick: Callable[[int], None] = lambda number: None, max_ticks: int = 400
    ) -> int:
        """Run `stemfix_<action>.lua` until it is done. Returns the number of ticks."""
        self.start(action)
        number = 0
        while self.deferred:
            number += 1
            if number > max_ticks:
                raise AssertionError(f"not done after {max_ticks} ticks; {self.texts[-1:]}")
            self._clock += _TICK_S
            on_tick(number)
            self.tick()
        self.end()
        return number

    def start(self, action: str) -> None:
        """The first tick of a script."""
        self.script = str(SCRIPTS / f"stemfix_{action}.lua")
        load = self.runtime.eval("function (text, ...) return assert (load (text)) (...) end")
        load(_GLOBALS, self._calls(), self._gfx(), self._keep)
        self._globals_before = load(_KNOWN_GLOBALS)
        text = Path(self.script).read_text(encoding="utf-8")
        self._timed(lambda: load(text))

    def tick(self) -> None:
        functions, self.deferred = self.deferred, []
        for function in functions:
            self._timed(function)

    def end(self) -> None:
        """The script ends, by itself or because REAPER quits; note what it left."""
        self.deferred = []
        for function in self.at_exit:
            function()
        self.at_exit = []
        self.runtime.execute("collectgarbage () collectgarbage ()")
        if self.prevented:
            self.violations.append(f"PreventUIRefresh is off by {self.prevented}")
            self.prevented = 0
        if any(project.block for project in self.projects):
            self.violations.append("an undo block is open")
        if self.loose:
            self.violations.append(f"{len(self.loose)} sources belong to nobody")
        if self.accessors and self.projects:
            self.violations.append(f"{len(self.accessors)} accessors were not destroyed")
        if self.window_open:
            self.violations.append("the window is still there")
        now = self.runtime.eval(f"(function () {_KNOWN_GLOBALS} end) ()")
        if now != self._globals_before:
            self.violations.append(f"globals were set: {now}")

    def now(self) -> float:
        return self._clock + cpu_s() - self._tick_began

    def is_alive(self, thing: Any, kind: str) -> bool:
        """Whether a pointer still points to something of this kind."""
        if kind == "ReaProject*":
            return thing in self.projects
        if kind == "MediaTrack*":
            return (
                isinstance(thing, Track) and thing.project in self.projects and thing in thing.project.tracks
            )
        if kind == "MediaItem*":
            return (
                isinstance(thing, Item)
                and thing in thing.track.items
                and self.is_alive(thing.track, "MediaTrack*")
            )
        if kind == "MediaItem_Take*":
            return (
                isinstance(thing, Take)
                and thing in thing.item.takes
                and self.is_alive(thing.item, "MediaItem*")
            )
        if kind == "AudioAccessor*":
            return thing in self.accessors
        if not isinstance(thing, Source):
            return False
        if thing in self.loose:
            return True
        played = thing.take.source if thing.take else None
        while played and played is not thing:
            played = played.parent
        return played is thing and self.is_alive(thing.take, "MediaItem_Take*")

    # Lua

    def _timed(self, function: Callable[[], None]) -> None:
        changes = sum(project.changes for project in self.projects)
        gc.disable()
        self._tick_began = began = cpu_s()
        try:
            function()
        finally:
            seconds = cpu_s() - began
            gc.enable()
        self.ticks.append((seconds, changes != sum(project.changes for project in self.projects)))
        for project in self.projects:
            if project.block:
                self.violations.append("an undo block outlived a tick")
        if self.prevented:
            self.violations.append("the screen was frozen over a tick")

    def _calls(self) -> Any:
        calls = {name: self._checked(name, SIGNATURES[name]) for name in SIGNATURES}
        if self.imgui:
            calls |= {name: self._imgui(name) for name in IMGUI}
        return self.runtime.table_from(calls)

    def _imgui(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            assert self.imgui
            if len(arguments) not in IMGUI[name]:
                self._wrong(f"{name} takes {IMGUI[name]} arguments, not {len(arguments)}")
            return self.imgui.call(name.removeprefix("ImGui_"), arguments, len(self.ticks))

        return call

    def _checked(self, name: str, signature: dict[str, Any]) -> Callable[..., Any]:
        function = getattr(self._api, name)
        kinds = [kind for _, kind in signature["args"]]
        counts = {len(kinds), len(kinds) + (name in _ONE_MORE)}

        def call(*arguments: Any) -> Any:
            if len(arguments) not in counts:
                self._wrong(f"{name} takes {len(kinds)} arguments, not {len(arguments)}")
            for number, (argument, kind) in enumerate(zip(arguments, kinds, strict=False), 1):
                if not self._fits(argument, kind):
                    self._wrong(f"argument {number} of {name} is {argument!r}, not a {kind}")
            self.calls.append(name)
            self.before_call(name, len(self.calls))
            try:
                return function(*arguments)
            except ApiError as error:
                return self._wrong(f"{name}: {error}")

        return call

    def _fits(self, argument: Any, kind: str) -> bool:
        if kind in _POINTERS:
            return (kind == "ReaProject*" and argument in (None, 0)) or self.is_alive(argument, kind)
        if kind in ("int", "size_t"):
            return (
                isinstance(argument, (int, float))
                and not isinstance(argument, bool)
                and argument == int(argument)
            )
        if kind in ("double", "double*"):
            return isinstance(argument, (int, float)) and not isinstance(argument, bool)
        if kind == "bool":
            return isinstance(argument, bool)
        if kind in ("const char*", "char*", "GUID*"):
            return isinstance(argument, str)
        return True

    def _wrong(self, sentence: str) -> None:
        self.violations.append(sentence)
        raise ApiError(sentence)

    def _gfx(self) -> Any:
        def call(name: str) -> Callable[..., Any]:
            if name not in GFX:
                return self._wrong(f"there is no gfx.{name}")  # type: ignore[return-value]
            return lambda *arguments: self._draw(name, arguments)

        state = self.runtime.table_from({"call": call})
        state["mouse_x"], state["mouse_y"], state["mouse_cap"] = self.mouse
        self._gfx_state = state
        return state

    def _draw(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "init":
            self.window_open = True
        elif name == "quit":
            self.window_open = False
        elif name == "drawstr":
            self.texts.append(arguments[0])
        elif name == "getchar":
            state = self._gfx_state
            state["mouse_x"], state["mouse_y"], state["mouse_cap"] = self.mouse
            if self.key == -1:
                self.window_open = False
            return self.key
        return 0

"""UiScripts: Ardour's file `ui_scripts`, which says what script is bound to which slot, and its hooks.

Ardour reads it whenever a session opens and rewrites it whenever a binding changes. The file is XML; its
`ActionScript` holds base64 of the Lua text that `lua_state` reads, its `ActionHooks` one `LuaCallback` for
each hook. An edit here leaves every byte as it was that does not belong to an entry that is set or removed.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from daw_bridge.ardour.lua_state import LuaStateError, assignments, quoted

#: MAX_LUA_ACTION_SCRIPTS of Ardour.
SLOTS = 32
#: The slots that the menu Edit > Lua Scripts shows; the others can be bound to keys only.
MENU_SLOTS = 9
EMPTY = b"""<?xml version="1.0" encoding="UTF-8"?>
<UIScripts>
  <ActionScript lua="Lua 5.3"/>
  <ActionHooks/>
</UIScripts>
"""
_ORIGIN = b"x-script-origin"
_ACTIONS = re.compile(rb"<ActionScript\b[^>]*?(?:/>|>(?P<text>[^<]*)</ActionScript\s*>)")
_HOOKS = re.compile(rb"<ActionHooks\b[^>]*?(?:/>|>(?P<inside>.*?)</ActionHooks\s*>)", re.DOTALL)
_HOOK = re.compile(rb"\s*<LuaCallback\b[^>]*?(?:/>|>[^<]*</LuaCallback\s*>)")


class UiScriptsError(ValueError):
    """The file is not one that Ardour wrote, or it is damaged."""


@dataclass(frozen=True)
class Script:
    """A bound script: its name in the menu, its Lua source and the file it came from."""

    name: str
    source: bytes
    origin: str


@dataclass(frozen=True)
class Hook:
    """A script that Ardour calls by itself, on the signals whose bits are set in `signals`."""

    script: Script
    signals: int


@dataclass(frozen=True)
class _Found:
    hook: Hook
    ident: str
    start: int
    end: int


class UiScripts:
    """The bound scripts in `data`, the content of the file. Raises UiScriptsError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            root = ElementTree.fromstring(data)
        except ElementTree.ParseError as error:
            raise UiScriptsError(f"it is not whole XML ({error})") from error
        if root.tag != "UIScripts":
            raise UiScriptsError("it does not hold Ardour's scripts")
        self._payload = self._read_payload(root)
        try:
            self._assignments = assignments(self._payload)
        except LuaStateError as error:
            raise UiScriptsError(f"its list of scripts can't be read ({error})") from error
        self.actions = self._read_actions()
        self._hooks = self._read_hooks(root)

    @property
    def hooks(self) -> list[Hook]:
        """The hooks in the order of the file."""
        return [found.hook for found in self._hooks]

    def free_slots(self, first: int = 1) -> list[int]:
        """The slots that hold nothing, from `first` on."""
        return [slot for slot in range(first, SLOTS + 1) if slot not in self.actions]

    def edited(self, actions: Mapping[int, Script | None], hooks: Mapping[int, Hook | None]) -> bytes:
        """The file with the scripts of these slots set, or removed where None.

        `hooks` goes by the place in the list `hooks`; a place behind its end is a new hook.
        """
        data = self._data
        present = dict(enumerate(self.hooks))
        new_hooks = {place: hook for place, hook in hooks.items() if hook != present.get(place)}
        new_actions = {slot: script for slot, script in actions.items() if script != self.actions.get(slot)}
        if new_hooks:
            data = self._with_hooks(data, new_hooks)
        if new_actions:
            data = self._with_actions(data, new_actions)
        return data

    def _read_payload(self, root: ElementTree.Element) -> bytes:
        found = root.findall("ActionScript")
        text = [match["text"] or b"" for match in _ACTIONS.finditer(self._data)]
        if len(found) != len(text) or len(found) > 1:
            raise UiScriptsError("it holds more than one list of scripts, or one that Ardour would not write")
        try:
            return base64.b64decode(b"".join(b"".join(text).split()), validate=True)
        except binascii.Error as error:
            raise UiScriptsError("its list of scripts is damaged") from error

    def _read_actions(self) -> dict[int, Script]:
        tables: dict[int, dict[tuple[bytes | int, ...], Any]] = {}
        for assignment in self._assignments:
            root, *rest = assignment.path
            if root != b"scripts":
                raise UiScriptsError("its list of scripts holds something else")
            if rest and isinstance(rest[0], int):
                if len(rest) == 1:
                    tables[rest[0]] = {}  # a later binding of the same slot replaces an earlier one
                tables.setdefault(rest[0], {})[tuple(rest[1:])] = assignment.value
        return {slot: _script(table) for slot, table in sorted(tables.items())}

    def _read_hooks(self, root: ElementTree.Element) -> list[_Found]:
        elements = root.findall("ActionHooks/LuaCallback")
        outer = _HOOKS.search(self._data)
        matches = list(_HOOK.finditer(self._data, *outer.span("inside"))) if outer and outer["inside"] else []
        if len(elements) != len(matches):
            raise UiScriptsError("its hooks are not as Ardour writes them")
        found = []
        for element, match in zip(elements, matches, strict=True):
            try:
                text = base64.b64decode("".join((element.text or "").split()), validate=True)
                table = {assignment.path[1:]: assignment.value for assignment in assignments(text)}
                signals = int(element.get("signals") or "0", 2)
            except ValueError:  # of every kind: it is somebody else's and stays as it is
                table, signals = {}, 0
            script = _script(table) if table else Script(element.get("name") or "", b"", "")
            found.append(_Found(Hook(script, signals), element.get("id") or "", *match.span()))
        return found

    def _with_actions(self, data: bytes, changes: Mapping[int, Script | None]) -> bytes:
        payload, place = b"", 0
        for assignment in self._assignments:
            if len(assignment.path) > 1 and assignment.path[1] in changes:
                payload += self._payload[place : assignment.start]
                place = assignment.end
        payload += self._payload[place:]
        payload = payload or b"scripts = {} "
        for slot, script in sorted(changes.items()):
            if script is not None:
                payload += _action_text(slot, script)
        element = b'<ActionScript lua="Lua 5.3">' + base64.b64encode(payload) + b"</ActionScript>"
        match = _ACTIONS.search(data)
        if match is None:
            return _insert(data, element)
        if match["text"] is None:
            return data[: match.start()] + element + data[match.end() :]
        start, end = match.span("text")
        return data[:start] + base64.b64encode(payload) + data[end:]

    def _with_hooks(self, data: bytes, changes: Mapping[int, Hook | None]) -> bytes:
        inside, place = b"", 0
        outer = _HOOKS.search(data)
        if outer and outer["inside"]:
            place, inside_end = outer.span("inside")
            for index, found in enumerate(self._hooks):
                if index in changes:
                    inside += data[place : found.start]
                    place = found.end
            inside += data[place:inside_end]
        taken = {found.ident for found in self._hooks}
        free = (number for number in itertools.count(900_001) if str(number) not in taken)
        for hook in changes.values():
            if hook is not None:
                inside = inside.rstrip() + b"\n    " + _hook_element(hook, next(free)) + b"\n  "
        element = b"<ActionHooks>" + inside + b"</ActionHooks>" if inside.strip() else b"<ActionHooks/>"
        if outer is None:
            return _insert(data, element)
        return data[: outer.start()] + element + data[outer.end() :]


def _script(table: Mapping[tuple[bytes | int, ...], Any]) -> Script:
    def text(*path: bytes) -> bytes:
        value = table.get(path)
        return value if isinstance(value, bytes) else b""

    decode = {"encoding": "utf-8", "errors": "surrogateescape"}
    return Script(text(b"n").decode(**decode), text(b"s"), text(b"a", _ORIGIN).decode(**decode))


def _action_text(slot: int, script: Script) -> bytes:
    entry = b"scripts[%d]" % slot
    fields = b" ".join(entry + field for field in _fields(script))
    return entry + b" = {} " + fields + b" "


def _hook_element(hook: Hook, ident: int) -> bytes:
    text = b"s = {} " + b" ".join(b"s" + field for field in _fields(hook.script)) + b" "
    bits = f"{hook.signals:b}"
    attributes = {"lua": "Lua 5.3", "id": str(ident), "name": hook.script.name, "signals": bits}
    shown = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    return b"<LuaCallback " + shown.encode() + b">" + base64.b64encode(text) + b"</LuaCallback>"


def _fields(script: Script) -> list[bytes]:
    """Name, source, factory and origin. Ardour writes the factory as bytecode; it loads text as well."""
    lead = b"local function ardour () end local factory, signals, action_params, icon\n"
    chunk = lead + script.source + b"\nreturn factory (...)\n"
    return [
        b'["n"] = ' + quoted(script.name),
        b'["a"] = {}',
        b'["a"]["' + _ORIGIN + b'"] = ' + quoted(script.origin),
        b'["s"] = ' + quoted(script.source),
        b'["f"] = ' + quoted(chunk),
    ]


def _insert(data: bytes, element: bytes) -> bytes:
    """`data` with `element` put into the root."""
    end = data.rfind(b"</UIScripts")
    if end >= 0:
        return data[:end] + b"  " + element + b"\n" + data[end:]
    short = re.search(rb"<UIScripts\s*/>", data)
    if short is None:
        raise UiScriptsError("it is not as Ardour writes it")
    whole = b"<UIScripts>\n  " + element + b"\n</UIScripts>"
    return data[: short.start()] + whole + data[short.end() :]

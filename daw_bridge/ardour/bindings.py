"""What stemfix binds in Ardour: its scripts, told by their headers, and the slots and hooks they get."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from daw_bridge.ardour.folders import ArdourFolder
from daw_bridge.ardour.ui_scripts import SLOTS, Hook, Script, UiScripts
from engine.errors import StemfixError

ENHANCE = "stemfix_enhance.lua"
#: The order in the menu; a script that is not named here comes after these.
_ORDER = (
    ENHANCE,
    "stemfix_enhance_with_preset.lua",
    "stemfix_separate.lua",
    "stemfix_import_last.lua",
    "stemfix_open_comparison.lua",
)
_TYPE = re.compile(rb'\[?"?type"?\]?\s*=\s*"(EditorAction|EditorHook)"')
_NAME = re.compile(rb'\bname"?\]?\s*=\s*"([^"\\\n]+)"')
_OURS = re.compile(r"(?:^|[/\\])(stemfix_\w+\.lua)$")
#: A new `ui_scripts` leaves these to the two scripts that Ardour binds by itself.
_FIRST_SLOT_OF_A_NEW_FILE = 3
#: The timer that ticks ten times a second, LuaTimerDS, is bit 47 of the signals up to Ardour 9.0. Later ones
#: have two signals more before it (gtk2_ardour/luasignal_syms.inc.h), and a folder does not tell its Ardour's
#: minor version: there the hook hears both, and the other (a changed selection or region) does no harm.
_TIMER_SIGNALS = {7: 1 << 47, 8: 1 << 47, 9: 1 << 47 | 1 << 49}


@dataclass(frozen=True)
class Bound:
    """What is bound of stemfix's: file name -> slots, and the hooks' file names."""

    slots: dict[str, list[int]]
    hooks: list[str]


def bound(scripts: UiScripts) -> Bound:
    """What of stemfix's is bound now, by whichever installation."""
    slots: dict[str, list[int]] = {}
    for slot, script in scripts.actions.items():
        if name := ours(script):
            slots.setdefault(name, []).append(slot)
    return Bound(slots, [name for hook in scripts.hooks if (name := ours(hook.script))])


def ours(script: Script) -> str | None:
    """The file of stemfix's that a script was bound from, wherever that lay; None if it is the user's own."""
    match = _OURS.search(script.origin)
    return match[1] if match else None


def bind(folder: ArdourFolder, scripts: UiScripts, files: Mapping[str, bytes], is_new: bool) -> bytes:
    """The file `ui_scripts` with all that `files` ask for bound, each once, and nothing else changed.

    What is bound already keeps its slot, and what `files` no longer hold is unbound. Raises StemfixError
    where the slots don't suffice.
    """
    wanted = {name: data for name, data in files.items() if _kind(data) == b"EditorAction"}
    present = bound(scripts)
    changes: dict[int, Script | None] = {
        slot: _script(folder, name, wanted[name]) if name in wanted else None
        for name, slots in present.slots.items()
        for slot in slots
    }
    missing = sorted((name for name in wanted if name not in present.slots), key=_place)
    free = scripts.free_slots(_FIRST_SLOT_OF_A_NEW_FILE if is_new else 1)
    if len(free) < len(missing):
        raise StemfixError(
            f"{folder.name} has {len(free)} of its {SLOTS} script slots free, and {len(missing)} are needed.",
            "Remove some in Ardour's Edit > Lua Scripts > Script Manager, then close Ardour and try again.",
        )
    changes.update(
        {slot: _script(folder, name, wanted[name]) for slot, name in zip(free, missing, strict=False)}
    )
    return scripts.edited(changes, _hook_changes(folder, scripts, files))


def unbind(scripts: UiScripts) -> bytes:
    """The file `ui_scripts` without anything of stemfix's."""
    slots = {slot: None for slot, script in scripts.actions.items() if ours(script)}
    return scripts.edited(
        slots, {place: None for place, hook in enumerate(scripts.hooks) if ours(hook.script)}
    )


def _hook_changes(
    folder: ArdourFolder, scripts: UiScripts, files: Mapping[str, bytes]
) -> dict[int, Hook | None]:
    signals = _TIMER_SIGNALS[folder.version]
    missing = {
        name: Hook(_script(folder, name, data), signals)
        for name, data in files.items()
        if _kind(data) == b"EditorHook"
    }
    changes: dict[int, Hook | None] = {}
    for place, hook in enumerate(scripts.hooks):
        if name := ours(hook.script):
            changes[place] = missing.pop(name, None)
    for place, hook in enumerate(missing.values(), start=len(scripts.hooks)):
        changes[place] = hook
    return changes


def _script(folder: ArdourFolder, name: str, data: bytes) -> Script:
    match = _NAME.search(data)
    return Script(match[1].decode() if match else name, data, str(folder.scripts / name))


def _kind(data: bytes) -> bytes:
    match = _TYPE.search(data)
    return match[1] if match else b""


def _place(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)

"""Startup: stemfix's lines in `__startup.lua`, the script that REAPER runs by itself as it starts.

They come first, since a script of the user's may end with `return`, and stand between two marks.
"""

from __future__ import annotations

import re

from daw_bridge.reaper.chunk import ChunkError

#: The action that they run.
OFFER = "stemfix_Offer finished results.lua"
_BEGIN = b"-- stemfix begins: offers stems that got finished while their project was closed"
_END = b"-- stemfix ends"
_OURS = re.compile(re.escape(_BEGIN) + rb"\r?\n.*?" + re.escape(_END) + rb"\r?\n", re.DOTALL)
#: What Lua skips at a file's beginning: a mark of UTF-8, and a line for Unix.
_LEAD = re.compile(rb"(?:\xef\xbb\xbf)?(?:#[^\n]*\n)?")


def with_lines(data: bytes | None, command: str) -> bytes:
    """The script with the lines that run the action `command`, once. Raises ChunkError."""
    if not re.fullmatch(r"_\w+", command):
        raise ChunkError(f"{command!r} is no name of an action.", "Remove it in REAPER's action list.")
    data = without_lines(data or b"")
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    name = command.encode()
    lines = (
        _BEGIN,
        b'do local id = reaper.NamedCommandLookup("' + name + b'")',
        b"if id and id ~= 0 then reaper.Main_OnCommand(id, 0) end end",
        _END,
    )
    at = _LEAD.match(data).end()  # type: ignore[union-attr]
    return data[:at] + b"".join(line + newline for line in lines) + data[at:]


def without_lines(data: bytes) -> bytes:
    """The script without them."""
    return _OURS.sub(b"", data)


def has_lines(data: bytes | None) -> bool:
    """Whether they are there."""
    return data is not None and _OURS.search(data) is not None

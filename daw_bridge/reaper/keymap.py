"""Keymap: the scripts that REAPER's `reaper-kb.ini` registers as actions, beside the user's keys.

A script is one line, `SCR 4 0 RS<id> "Custom: name.lua" "path"`, where 4 stands for a script, 0 for the main
section, and the path is absolute or counts from the folder `Scripts`. REAPER reads the file as it starts and
rewrites it whenever an action changes. Every line that is not stemfix's keeps its bytes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

#: The folder below `Scripts` into which the installer copies.
FOLDER = "stemfix"
_SCRIPT = re.compile(
    rb"^[ \t]*SCR[ \t]+\d+[ \t]+(?P<section>\d+)[ \t]+_?(?P<id>\w+)[ \t]+"
    rb"(?:\"[^\"\r\n]*\"|'[^'\r\n]*'|`[^`\r\n]*`|\S+)[ \t]+(?P<path>[^\r\n]+?)[ \t]*$"
)
_MAIN_SECTION = b"0"


@dataclass(frozen=True)
class Registered:
    """One line: the script's path as it stands there, and the name by which the action can be run."""

    path: str
    command: str

    @property
    def file_name(self) -> str:
        """Such as `stemfix_Enhance selected item.lua`."""
        return re.split(r"[/\\]", self.path)[-1]

    @property
    def is_installers(self) -> bool:
        """Whether it is the copy that the installer puts there, not ReaPack's or the user's."""
        path = self.path.replace("\\", "/")
        return path == f"{FOLDER}/{self.file_name}" or path.endswith(f"/Scripts/{FOLDER}/{self.file_name}")


def registered(data: bytes | None) -> list[Registered]:
    """stemfix's scripts in the main section of the file's content, wherever they lie."""
    found = (_registered(line) for line in (data or b"").splitlines())
    return [one for one in found if one is not None]


def register(data: bytes | None, names: Iterable[str]) -> bytes:
    """The file with each of the scripts `names` registered once, and nothing else changed.

    One that ReaPack or the user registered from another place stays, and is not registered again. Lines of
    the installer's for scripts that are not named go.
    """
    names = list(names)
    data = data or b""
    lines, kept = [], set()
    for line in data.splitlines(keepends=True):
        one = _registered(line.rstrip(b"\r\n"))
        if one is not None and one.is_installers and (one.file_name not in names or one.file_name in kept):
            continue
        if one is not None:
            kept.add(one.file_name)
        lines.append(line)
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    missing = [name for name in names if name not in kept]
    if missing and lines and not lines[-1].endswith((b"\n", b"\r")):
        lines[-1] += newline
    return b"".join([*lines, *(_line(name) + newline for name in missing)])


def unregister(data: bytes) -> bytes:
    """The file without the installer's lines. Keys that the user bound stay: they work again after the next
    installation, which gives the actions the same ids.
    """
    lines = data.splitlines(keepends=True)
    return b"".join(
        line for line in lines if (one := _registered(line.rstrip(b"\r\n"))) is None or not one.is_installers
    )


def _registered(line: bytes) -> Registered | None:
    match = _SCRIPT.match(line)
    if match is None or match["section"] != _MAIN_SECTION:
        return None
    path = match["path"].decode("utf-8", "surrogateescape")
    if len(path) > 1 and path[0] == path[-1] and path[0] in "\"'`":
        path = path[1:-1]
    name = re.split(r"[/\\]", path)[-1]
    if not re.fullmatch(r"stemfix_.+\.(lua|py)", name):
        return None
    return Registered(path, f"_{match['id'].decode()}")


def _line(name: str) -> bytes:
    path = f"{FOLDER}/{name}"
    # The same on every computer and after every installation, so that keys and toolbars go on working.
    ident = "RS" + hashlib.sha1(path.encode()).hexdigest()
    return f'SCR 4 0 {ident} "Custom: {name}" "{path}"'.encode()

"""What the installer puts into REAPER's folder: the Lua scripts, on request the server for the terminal."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from daw_bridge.reaper.folders import ReaperFolder
from daw_bridge.reaper.installer import SERVER
from daw_bridge.reaper.keymap import registered
from daw_bridge.scripts import script_files
from daw_bridge.transaction import content
from engine.errors import StemfixError

_PLACE = 'SITE_PACKAGES = ""'


def wanted_files(terminal: bool) -> dict[str, bytes]:
    """Path below `Scripts/stemfix` -> content. Raises StemfixError."""
    files = script_files("reaper_scripts")
    if terminal:
        files[SERVER] = _server()
    return files


def serves_terminal(folder: ReaperFolder) -> bool:
    """Whether the server is installed there."""
    return any(one.file_name == SERVER for one in registered(content(folder.keymap)))


def _server() -> bytes:
    """The server's script, which finds reapy where this stemfix has it."""
    spec = importlib.util.find_spec("reapy")
    if spec is None or spec.origin is None:
        raise StemfixError("The package reapy is missing.", 'Run: pip install "stemfix[reaper]"')
    text = (Path(__file__).parent / "reapy_server.py").read_text("utf-8")
    if text.count(_PLACE) != 1:
        raise StemfixError("The script of the server is damaged.", "Install stemfix again.")
    return text.replace(_PLACE, f"SITE_PACKAGES = {str(Path(spec.origin).parent.parent)!a}").encode()

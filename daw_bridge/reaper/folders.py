"""REAPER's resource folders on this computer: where it keeps its settings and scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import OptionError, StemfixError


@dataclass(frozen=True)
class ReaperFolder:
    """One resource folder; a portable installation has one of its own beside the program."""

    path: Path
    is_portable: bool = False

    @property
    def name(self) -> str:
        """Such as `REAPER`, or `REAPER in /media/stick`."""
        return f"REAPER in {self.path}" if self.is_portable else "REAPER"

    @property
    def record_name(self) -> str:
        """What the record of what was installed there is called."""
        return "reaper"

    @property
    def scripts(self) -> Path:
        """The folder of the user's scripts."""
        return self.path / "Scripts"

    @property
    def keymap(self) -> Path:
        """The file in which scripts are registered as actions, beside the user's keys."""
        return self.path / "reaper-kb.ini"

    @property
    def ext_state(self) -> Path:
        """The file in which scripts keep values from one start of REAPER to the next."""
        return self.path / "reaper-extstate.ini"


def reaper_folders(portable: Path | None = None) -> list[ReaperFolder]:
    """The user's resource folder, or none (two, where the system names two); or the portable one.

    Raises OptionError where `portable` is no resource folder of REAPER.
    """
    if portable is None:
        # REAPER for Linux has been seen to overlook XDG_CONFIG_HOME.
        places = [default_path(os.environ), default_path({**os.environ, "XDG_CONFIG_HOME": ""})]
        found = [path for path in dict.fromkeys(places) if path.is_dir()]
        return [ReaperFolder(path) for path in found]
    path = portable.expanduser().absolute()
    if not (path / "reaper.ini").is_file():
        raise OptionError(
            f"{path} is no resource folder of REAPER: it holds no reaper.ini.",
            "In REAPER choose Options > Show REAPER resource path, and give that folder.",
        )
    return [ReaperFolder(path, is_portable=True)]


def required(folders: list[ReaperFolder]) -> list[ReaperFolder]:
    """The folders, if there is one. Raises StemfixError."""
    if not folders:
        raise StemfixError(
            f"There is no resource folder of REAPER in {default_path(os.environ)}.",
            "Start REAPER once, close it and try again; for a portable installation give --folder.",
        )
    return folders


def default_path(environment: Mapping[str, str]) -> Path:
    """Where REAPER keeps the user's resource folder, for a process with this environment."""
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "REAPER"
    if sys.platform == "win32":
        return Path(environment.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "REAPER"
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "REAPER"

"""The configuration folders of the Ardour versions on this computer."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: The versions whose Lua interface and file format the scripts and the installer know.
VERSIONS = (7, 8, 9)


@dataclass(frozen=True)
class ArdourFolder:
    """Where one major version of Ardour keeps the user's configuration."""

    version: int
    path: Path

    @property
    def name(self) -> str:
        """Such as `Ardour 7`."""
        return f"Ardour {self.version}"

    @property
    def record_name(self) -> str:
        """What the record of what was installed there is called."""
        return f"ardour{self.version}"

    @property
    def ui_scripts(self) -> Path:
        """The file that says which script is bound to which slot."""
        return self.path / "ui_scripts"

    @property
    def osc_port(self) -> int:
        """The port on which this Ardour listens for OSC, unless another program had it."""
        match = re.search(r'name="osc-port"\s+value="(\d{1,5})"', self._text("config"))
        return int(match[1]) if match else 3819

    @property
    def osc_is_on(self) -> bool:
        """Whether OSC was on in the preferences when Ardour last saved them; a session may have its own."""
        match = re.search(r'<Protocol\s[^>]*name="Open Sound Control[^>]*>', self._text("config"))
        return match is not None and 'active="1"' in match[0]

    @property
    def forbids_programs(self) -> bool:
        """Whether "sandbox all Lua scripts" of Ardour 8 keeps scripts from starting programs."""
        return bool(
            re.search(r'name="sandbox-all-lua-scripts"\s+value="(1|yes|true)"', self._text("ui_config"))
        )

    def _text(self, name: str) -> str:
        try:
            return (self.path / name).read_text("utf-8", "replace")
        except OSError:
            return ""

    @property
    def scripts(self) -> Path:
        """The folder of the user's scripts."""
        return self.path / "scripts"


def ardour_folders() -> list[ArdourFolder]:
    """The folders that exist, of versions that stemfix knows, oldest first."""
    base = config_base(os.environ)
    found = [ArdourFolder(version, base / _folder_name(version)) for version in VERSIONS]
    return [folder for folder in found if folder.path.is_dir()]


def config_base(environment: Mapping[str, str]) -> Path:
    """The folder above the configuration folders, for a process with this environment.

    From `user_config_directory` in Ardour's libs/ardour/filesystem_paths.cc.
    """
    home = Path(environment.get("HOME") or Path.home())
    if sys.platform == "darwin":
        return home / "Library" / "Preferences"
    if xdg := environment.get("XDG_CONFIG_HOME"):
        return Path(xdg)
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / ".config"


def _folder_name(version: int) -> str:
    return f"Ardour{version}" if sys.platform in ("darwin", "win32") else f"ardour{version}"

"""What is installed in a configuration folder of Ardour, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from daw_bridge.ardour.bindings import Bound, bind, bound
from daw_bridge.ardour.folders import ArdourFolder
from daw_bridge.ardour.installer import read_settings, read_ui_scripts
from daw_bridge.ardour.settings import FILE_NAME, StubSettings
from daw_bridge.transaction import content

_AGAIN = "close Ardour and run: stemfix daw install ardour"


@dataclass(frozen=True)
class ArdourStatus:
    """One folder. `problems` keep the actions from working; `hints` don't."""

    folder: ArdourFolder
    bound: Bound
    settings: StubSettings | None
    problems: list[str]
    hints: list[str]

    @property
    def is_installed(self) -> bool:
        """Whether anything of stemfix's is there."""
        return bool(self.bound.slots) or self.settings is not None


def status(folder: ArdourFolder, files: Mapping[str, bytes], version: str) -> ArdourStatus:
    """How `folder` compares with what an installation of `files` would make of it. Raises StemfixError."""
    scripts = read_ui_scripts(folder)
    settings = read_settings(folder)
    found = ArdourStatus(folder, bound(scripts), settings, [], [])
    if not found.is_installed:
        return found
    if settings is None:
        found.problems.append(f"{FILE_NAME} is missing or damaged: {_AGAIN}")
    else:
        if not os.access(settings.python, os.X_OK):
            found.problems.append(f"its Python {settings.python} is gone: {_AGAIN}")
        if settings.version != version:
            found.hints.append(f"it is of stemfix {settings.version}, this is {version}: {_AGAIN}")
    missing = [name for name in files if content(folder.scripts / name) is None]
    if missing:
        found.problems.append(f"{', '.join(missing)} missing: {_AGAIN}")
    elif any(content(folder.scripts / name) != data for name, data in files.items()):
        found.hints.append(f"its scripts are not those of this stemfix: {_AGAIN}")
    if content(folder.ui_scripts) != bind(folder, scripts, files, is_new=False):
        found.problems.append(f"some actions are not bound, or in another way: {_AGAIN}")
    if folder.forbids_programs:
        found.problems.append(
            "Ardour keeps scripts from starting programs: switch off its setting 'Sandbox all Lua Scripts'"
        )
    return found

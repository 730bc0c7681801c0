"""What of stemfix is installed in a resource folder of REAPER, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from daw_bridge.reaper.ext_state import read_section
from daw_bridge.reaper.folders import ReaperFolder
from daw_bridge.reaper.installer import SERVER, action_names
from daw_bridge.reaper.keymap import FOLDER, Registered, registered
from daw_bridge.transaction import content

_AGAIN = "close REAPER and run: stemfix daw install reaper"


@dataclass(frozen=True)
class ReaperStatus:
    """One folder. `problems` keep the actions from working; `hints` don't."""

    folder: ReaperFolder
    actions: list[Registered]
    values: dict[str, str]
    problems: list[str]
    hints: list[str]

    @property
    def is_installed(self) -> bool:
        """Whether any of stemfix's actions is there."""
        return bool(self.actions)


def status(folder: ReaperFolder, files: Mapping[str, bytes], version: str) -> ReaperStatus:
    """How `folder` compares with what an installation of `files` would make of it. Raises OutputError."""
    values = read_section(content(folder.ext_state)) or {}
    found = ReaperStatus(folder, registered(content(folder.keymap)), values, [], [])
    if not found.is_installed:
        return found
    if not values.get("python") or not values.get("data_dir"):
        found.problems.append(f"the actions were not told where stemfix is: {_AGAIN}")
    elif not os.access(values["python"], os.X_OK):
        found.problems.append(f"its Python {values['python']} is gone: {_AGAIN}")
    if values.get("version") not in (None, version):
        found.hints.append(f"it is of stemfix {values['version']}, this is {version}: {_AGAIN}")
    names = [one.file_name for one in found.actions]
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.problems.append(
            f"{name} is registered {names.count(name)} times: remove one in REAPER's action list"
        )
    if missing := [name for name in action_names(files) if name not in names]:
        found.problems.append(f"{', '.join(missing)} not registered: {_AGAIN}")
    if any(one.is_installers for one in found.actions):
        _check_files(found, files)
    return found


def _check_files(found: ReaperStatus, files: Mapping[str, bytes]) -> None:
    place = found.folder.scripts / FOLDER
    there = {name: content(place / name) for name in files if name != SERVER}
    if missing := [name for name, data in there.items() if data is None]:
        found.problems.append(f"{', '.join(missing)} missing: {_AGAIN}")
    elif any(data != files[name] for name, data in there.items()):
        found.hints.append(f"its scripts are not those of this stemfix: {_AGAIN}")

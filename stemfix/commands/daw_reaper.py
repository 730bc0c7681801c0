"""The part of `stemfix daw` that is REAPER's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from daw_bridge.reaper.installer import FolderReport

Command = TypeVar("Command", bound=Callable[..., Any])

_MENU = """\
In REAPER the actions are in Actions > Show action list; type stemfix to find them.
To the menu of an item: Options > Customize menus/toolbars, choose 'Media item context', Add > Action,
choose 'Script: stemfix_Enhance selected item.lua', OK and Save. A toolbar: choose it there instead, as
'Main toolbar'. A key: select the action in the action list and press Add.
Select an item first, then run the action."""


def folder_option(command: Command) -> Command:
    """`--folder`."""
    return click.option(
        "--folder",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="REAPER: the resource folder of a portable installation.",
    )(command)


def install_options(command: Command) -> Command:
    """What `install` takes for REAPER alone."""
    command = click.option(
        "--track-settings",
        type=click.Choice(["volume and pan", "effects", "nothing"]),
        help="REAPER: what the stems' folder takes over from the track.",
    )(command)
    return click.option(
        "--terminal/--no-terminal",
        default=None,
        help="REAPER: also the action that serves 'stemfix reaper'; it needs Python in REAPER.",
    )(command)


def preset_names(preset: str | None) -> tuple[str, ...]:
    """The presets that there are. Raises PresetError if `preset` is none of them."""
    from engine.errors import PresetError
    from presets.loader import list_presets

    names = tuple(entry.name for entry in list_presets())
    if preset is not None and preset not in names:
        raise PresetError(f"There is no preset called {preset!r}.", f"There are: {', '.join(names)}.")
    return names


def install(
    folder: Path | None, preset: str | None, terminal: bool | None, track_settings: str | None
) -> None:
    """Put the actions into REAPER."""
    import sys

    from daw_bridge.reaper.folders import reaper_folders, required
    from daw_bridge.reaper.installer import install as install_in
    from daw_bridge.reaper.scripts import serves_terminal, wanted_files
    from engine.paths import data_dir
    from stemfix import __version__
    from stemfix.console import say

    names = preset_names(preset)
    values = {
        "python": sys.executable,
        "data_dir": str(data_dir()),
        "version": __version__,
        "presets": ",".join(name for name in names if "," not in name),
    }
    if preset is not None:
        values["preset"] = preset
    if track_settings is not None:
        values["track_settings"] = track_settings
    folders = required(reaper_folders(folder))
    if terminal is None:
        terminal = any(map(serves_terminal, folders))
    for report in install_in(folders, wanted_files(terminal), values):
        done = "the actions are installed" if report.changed else "the actions were installed already"
        say(f"{report.folder.name}: {done} ({len(report.actions)} in {report.folder.path}).")
        _say_notes(report)
    say(_MENU)
    if terminal:
        say("'stemfix_Serve stemfix in the terminal.py' needs Python: Preferences > Plug-ins > ReaScript.")


def uninstall(folder: Path | None) -> None:
    """Take the actions out of REAPER."""
    from daw_bridge.reaper.folders import reaper_folders
    from daw_bridge.reaper.installer import uninstall as uninstall_from
    from stemfix.console import say

    for report in uninstall_from(reaper_folders(folder)):
        done = "the actions are gone" if report.changed else "there was nothing to take out"
        say(f"{report.folder.name}: {done}.")
        _say_notes(report)


def show_status(folder: Path | None, as_json: bool) -> int:
    """Show what is installed in REAPER."""
    from daw_bridge.reaper.folders import reaper_folders
    from daw_bridge.reaper.scripts import serves_terminal, wanted_files
    from daw_bridge.reaper.status import status
    from stemfix import __version__
    from stemfix.console import say, say_json

    found = [status(one, wanted_files(serves_terminal(one)), __version__) for one in reaper_folders(folder)]
    if as_json:
        say_json(
            [
                {
                    "folder": str(one.folder.path),
                    "portable": one.folder.is_portable,
                    "installed": one.is_installed,
                    "stemfix": one.values.get("version"),
                    "python": one.values.get("python"),
                    "preset": one.values.get("preset"),
                    "actions": {action.file_name: action.command for action in one.actions},
                    "problems": one.problems,
                    "hints": one.hints,
                }
                for one in found
            ]
        )
    elif not found:
        say("No resource folder of REAPER was found; for a portable installation give --folder.")
    for one in () if as_json else found:
        state = "installed" if one.is_installed else "not installed"
        say(f"{one.folder.name} ({one.folder.path}): {state}")
        for line in (*one.problems, *one.hints):
            say(f"  {line}")
    return 1 if any(one.problems for one in found) else 0


def _say_notes(report: FolderReport) -> None:
    from stemfix.console import say

    for note in report.notes:
        say(f"  {note}")

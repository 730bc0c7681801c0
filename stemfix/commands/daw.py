"""`stemfix daw`: put stemfix's actions into a DAW, take them out, and see what is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemfix.commands import daw_reaper

if TYPE_CHECKING:
    from daw_bridge.ardour.installer import FolderReport
    from daw_bridge.ardour.settings import StubSettings

_DAW = click.Choice(["ardour", "reaper"])


@click.group("daw")
def command() -> None:
    """Put stemfix's actions into a DAW, or take them out."""


@command.command("install")
@click.argument("daw", type=_DAW)
@click.option("--preset", metavar="NAME", help="The preset of 'Enhance selected region'.")
@click.option(
    "--background/--no-background",
    default=None,
    help="Ardour: work in the background, or show a progress window (which is the default).",
)
@daw_reaper.folder_option
@daw_reaper.install_options
def install(
    daw: str, preset: str | None, background: bool | None, folder: Path | None, **options: Any
) -> None:
    """Put stemfix's actions into the DAW's menu; again after an update of stemfix.

    The DAW has to be closed. What you have bound there yourself stays as it is, and 'uninstall' puts back
    what was there before.
    """
    if daw == "reaper":
        daw_reaper.install(folder, preset, **options)
        return
    from daw_bridge.ardour.folders import ardour_folders
    from daw_bridge.ardour.installer import install as install_in
    from daw_bridge.scripts import script_files
    from stemfix.console import say

    settings = _settings(preset, background)
    for report in install_in(ardour_folders(), script_files("ardour_scripts"), settings):
        done = "the actions are installed" if report.changed else "the actions were installed already"
        say(f"{report.folder.name}: {done} ({_slots(report)}).")
        _say_notes(report)
    say("In Ardour they are in Edit > Lua Scripts. Select a region first.")


@command.command("uninstall")
@click.argument("daw", type=_DAW)
@daw_reaper.folder_option
def uninstall(daw: str, folder: Path | None) -> None:
    """Take stemfix's actions out of the DAW and put back what was there before."""
    if daw == "reaper":
        daw_reaper.uninstall(folder)
        return
    from daw_bridge.ardour.folders import ardour_folders
    from daw_bridge.ardour.installer import uninstall as uninstall_from
    from stemfix.console import say

    for report in uninstall_from(ardour_folders()):
        done = "the actions are gone" if report.changed else "there was nothing to take out"
        say(f"{report.folder.name}: {done}.")
        _say_notes(report)


@command.command("status")
@click.argument("daw", type=_DAW)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@daw_reaper.folder_option
def show_status(daw: str, as_json: bool, folder: Path | None) -> int:
    """Show what is installed; the exit status is 1 if something is wrong with it."""
    if daw == "reaper":
        return daw_reaper.show_status(folder, as_json)
    from daw_bridge.ardour.folders import ardour_folders
    from daw_bridge.ardour.status import status
    from daw_bridge.scripts import script_files
    from stemfix import __version__
    from stemfix.console import say, say_json

    files = script_files("ardour_scripts")
    found = [status(folder, files, __version__) for folder in ardour_folders()]
    if as_json:
        say_json(
            [
                {
                    "version": one.folder.version,
                    "folder": str(one.folder.path),
                    "installed": one.is_installed,
                    "stemfix": one.settings.version if one.settings else None,
                    "python": one.settings.python if one.settings else None,
                    "preset": one.settings.preset if one.settings else None,
                    "background": one.settings.background if one.settings else None,
                    "slots": one.bound.slots,
                    "problems": one.problems,
                    "hints": one.hints,
                }
                for one in found
            ]
        )
    elif not found:
        say("No configuration folder of Ardour 7, 8 or 9 was found.")
    else:
        for one in found:
            state = "installed" if one.is_installed else "not installed"
            say(f"{one.folder.name} ({one.folder.path}): {state}")
            for line in (*one.problems, *one.hints):
                say(f"  {line}")
    return 1 if any(one.problems for one in found) else 0


def _settings(preset: str | None, background: bool | None) -> StubSettings:
    import os
    import sys

    from daw_bridge.ardour.settings import StubSettings
    from engine.paths import data_dir
    from stemfix import __version__

    names = daw_reaper.preset_names(preset)
    variables = [f"STEMFIX_{name}_DIR" for name in ("DATA", "CACHE", "MODEL", "CONFIG")]
    return StubSettings(
        python=sys.executable,
        data_dir=str(data_dir()),
        version=__version__,
        preset=preset,
        background=background,
        presets=names,
        environment={name: os.path.abspath(os.environ[name]) for name in variables if os.environ.get(name)},
    )


def _slots(report: FolderReport) -> str:
    from daw_bridge.ardour.ui_scripts import MENU_SLOTS

    slots = sorted(slot for slots in report.bound.slots.values() for slot in slots)
    text = "slots " + ", ".join(map(str, slots))
    hidden = [slot for slot in slots if slot > MENU_SLOTS]
    return f"{text}; the menu shows the first {MENU_SLOTS}, the others take a key" if hidden else text


def _say_notes(report: FolderReport) -> None:
    from stemfix.console import say

    for note in report.notes:
        say(f"  {note}")

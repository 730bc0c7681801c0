"""Run stemfix's menu action in an Ardour that is open now, over OSC."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from daw_bridge.ardour.bindings import ENHANCE, bound
from daw_bridge.ardour.folders import ArdourFolder, ardour_folders
from daw_bridge.ardour.installer import read_ui_scripts
from daw_bridge.ardour.request import withdraw_request, write_request
from daw_bridge.ardour.running import RunningArdour, running_ardours, users_of
from daw_bridge.osc import OscError, run_action
from engine.errors import OptionError, StemfixError


@dataclass(frozen=True)
class Triggered:
    """What was run, and where."""

    folder: ArdourFolder
    slot: int
    port: int


def enhance_selected(
    preset: str | None = None,
    *,
    version: int | None = None,
    port: int | None = None,
    running: Iterable[RunningArdour] | None = None,
) -> Triggered:
    """Enhance what is selected in the open Ardour, as its menu action does, or with `preset`.

    `version` says which Ardour where several have the action, `port` where it listens. Returns as soon as the
    action is sent: what becomes of it shows in Ardour. Raises StemfixError.
    """
    folder, slot = _choose(version, running_ardours() if running is None else running)
    port = folder.osc_port if port is None else port
    if preset is not None:
        write_request(preset)
    try:
        run_action(f"LuaAction/script-{slot}", port)
    except OscError as error:
        withdraw_request()
        if folder.osc_is_on:
            raise
        raise OscError(
            f"{error.what} {folder.name} has OSC switched off in its preferences.", error.remedy
        ) from error
    except BaseException:
        withdraw_request()
        raise
    return Triggered(folder, slot, port)


def _choose(version: int | None, running: Iterable[RunningArdour]) -> tuple[ArdourFolder, int]:
    slots = {
        folder: slots[0]
        for folder in ardour_folders()
        if version in (None, folder.version)
        and (slots := bound(read_ui_scripts(folder)).slots.get(ENHANCE)) is not None
    }
    if not slots:
        name = "Ardour" if version is None else f"Ardour {version}"
        raise StemfixError(f"stemfix is not installed in {name}.", "Run: stemfix daw install ardour")
    running = list(running)
    open_ones = [folder for folder in slots if users_of(folder, running)]
    if len(open_ones) == 1:
        return open_ones[0], slots[open_ones[0]]
    if len(set(slots.values())) == 1:
        folder = (open_ones or list(slots))[-1]
        return folder, slots[folder]
    versions = ", ".join(str(folder.version) for folder in slots)
    raise OptionError(
        f"stemfix is installed in several versions of Ardour ({versions}).", "Say which one with --ardour."
    )

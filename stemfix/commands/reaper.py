"""`stemfix reaper`: look at the project that is open in REAPER, send its items, bring stems in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

_PORT = click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=2306,
    show_default=True,
    help="Of stemfix's server in REAPER.",
)


@click.group("reaper")
def command() -> None:
    """Look at the project that is open in REAPER, send its items, bring stems in.

    REAPER has to run the action 'stemfix_Serve stemfix in the terminal.py', which
    'stemfix daw install reaper --terminal' puts there. The menu actions need none of this.
    """


@command.command("list")
@_PORT
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_project(port: int, as_json: bool) -> None:
    """List the open projects, the tracks of the one in front, and its selected items."""
    from daw_bridge.reaper.connection import connected
    from daw_bridge.reaper.live import projects, selected_items, tracks
    from stemfix.console import say, say_json
    from stemfix.text import plain

    with connected(port) as api:
        open_projects, found, items = projects(api), tracks(api), selected_items(api)
    if as_json:
        say_json(
            {
                "projects": [one.path for one in open_projects],
                "tracks": [vars(one) for one in found],
                "selected": [
                    {
                        "position_s": one.item.position_s if one.item else None,
                        "length_s": one.item.length_s if one.item else None,
                        "name": one.item.name if one.item else None,
                        "file": None if one.file is None else str(one.file),
                        "refusal": one.refusal or None,
                    }
                    for one in items
                ],
            }
        )
        return
    for number, project in enumerate(open_projects):
        say(f"{'Project' if number == 0 else 'also open'}: {plain(project.path) or 'not saved yet'}")
    for track in found:
        say(f"  track {plain(track.name)}, items: {track.items}")
    for one in items:
        if one.item is None:
            say(f"  selected: can't be used. {one.refusal}")
        else:
            where = f"{one.item.position_s:.3f} s, {one.item.length_s:.3f} s long"
            say(f"  selected: {plain(one.item.name)} at {where}, {plain(str(one.file))}")


@command.command("enhance-selected")
@_PORT
@click.option("--preset", metavar="NAME", default="balanced", show_default=True)
@click.option("--wait", is_flag=True, help="Wait for the jobs, and bring the stems in.")
def enhance_selected(port: int, preset: str, wait: bool) -> None:
    """Send the selected items to the engine."""
    from daw_bridge.reaper.connection import connected
    from daw_bridge.reaper.live import projects, selected_items
    from daw_bridge.reaper.submit import submit_item
    from engine.errors import InputError
    from engine.service.autostart import ensure_engine
    from stemfix.commands.daw_reaper import preset_names
    from stemfix.console import say

    preset_names(preset)
    with connected(port) as api:
        project = projects(api)[0].path
        items = selected_items(api)
    if not items:
        raise InputError("No item is selected in REAPER.", "Select one, then try again.")
    for one in items:
        if one.item is None or one.file is None:
            raise InputError(
                f"A selected item can't be used. {one.refusal or 'It plays no file.'}", "Select others."
            )
    ensure_engine()
    jobs = [
        submit_item(one.item, one.file, preset, project)
        for one in items
        if one.item is not None and one.file is not None
    ]
    for job_id in jobs:
        if not wait:
            say(f"Job {job_id} is on its way. When it is done: stemfix reaper import {job_id}")
            continue
        _wait(job_id)
        _import(job_id, port)


@command.command("import")
@click.argument("job")
@_PORT
@click.option(
    "--at-time-reference",
    is_flag=True,
    help="For a recording that was rendered from the open project: put the stems where it begins.",
)
def import_job(job: str, port: int, at_time_reference: bool) -> None:
    """Bring a job's stems into the open project, in one undo step.

    They go below the item that was sent, or below the selected items that play the job's recording.
    """
    _import(job, port, at_time_reference)


@command.command("action")
@click.argument("name", default="Enhance selected item")
@click.option(
    "--port", type=click.IntRange(1, 65_535), required=True, help="REAPER's local listen port for OSC."
)
@click.option("--folder", type=click.Path(path_type=Path), metavar="DIR", help="Of a portable installation.")
def run_action(name: str, port: int, folder: Path | None) -> None:
    """Run one of stemfix's actions in the open REAPER, over OSC.

    You have to add OSC yourself, under Preferences > Control/OSC/web. REAPER then listens on every network
    interface and asks for no password.
    """
    from daw_bridge.reaper.folders import reaper_folders
    from daw_bridge.reaper.trigger import run_action as send
    from stemfix.console import say

    send(reaper_folders(folder), port, f"stemfix_{name}.lua")
    say(f"Sent to REAPER: {name}. It goes on there.")


@command.command("round-trip")
@click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input ends.")
def round_trip(supervised: bool) -> None:
    """Bring the stems of what is rendered into a watched folder back into the open project, until Ctrl-C.

    'stemfix up' runs it too if [reaper] of the configuration says so. The render has to carry its place: tick
    'Write BWF chunk' in REAPER's render window.
    """
    import threading

    from daw_bridge.reaper.round_trip import RoundTrip
    from engine.config import load_config
    from stemfix.console import say
    from stemfix.interrupt import on_stop_signals
    from stemfix.lifeline import hold_lifeline
    from stemfix.queue_access import open_queue

    stop = threading.Event()
    if supervised:
        hold_lifeline(stop.set)
    settings = load_config().reaper
    which: Literal["any", "project"] = "any" if settings.import_renders == "any" else "project"
    with on_stop_signals(stop.set), open_queue() as queue:
        RoundTrip(queue, which, settings.port, lambda line: say(line, error=True)).run(stop)


def _import(job: str, port: int, at_time_reference: bool = False) -> None:
    from daw_bridge.reaper.connection import connected
    from daw_bridge.reaper.importing import import_result
    from daw_bridge.reaper.live import items_of
    from daw_bridge.reaper.render import import_render
    from daw_bridge.reaper.submit import item_of
    from stemfix.console import say
    from stemfix.results import result_of

    job_id, result = result_of(job)
    with connected(port) as api:
        if at_time_reference:
            position = import_render(api, result)
            say(f"The stems of {result.source.name} are in the project at {position:.3f} s.")
            return
        count = import_result(api, result, items_of(api, result, item_of(job_id)))
    items = "the item" if count == 1 else f"{count} items"
    say(f"The stems are in the project, below {items}; undo takes them out.")


def _wait(job_id: str) -> Any:
    import time

    from engine.spool.client import read_result
    from stemfix.console import say

    say(f"Job {job_id} is on its way. Ctrl-C stops waiting; the job goes on.", error=True)
    while (result := read_result(job_id)) is None:
        time.sleep(0.25)
    return result

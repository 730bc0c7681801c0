"""`stemfix watch`: recordings that are put into a folder become jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemfix.failure import Settings

if TYPE_CHECKING:
    from watchers.settings import WatchSettings


@click.command("watch")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--preset", metavar="NAME", help="A preset's name, or a file; balanced by default.")
@click.option("--quality", metavar="NAME", help="By default the preset's.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where results go; beside each source by default.",
)
@click.option("--recursive", is_flag=True, help="Watch folders below FOLDER too.")
@click.option(
    "--pattern", "patterns", multiple=True, metavar="GLOB", help="Take only these, such as '*.wav'."
)
@click.option(
    "--poll/--no-poll",
    default=None,
    help="Look again and again, or wait to be told; by default what the file system needs.",
)
@click.option("--move", is_flag=True, help="Move a source to FOLDER/done when its job is done.")
@click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input ends.")
@click.pass_obj
def command(settings: Settings, /, folder: Path | None, supervised: bool, **given: Any) -> None:
    """Watch FOLDER until Ctrl-C: every recording put into it becomes a job.

    Without FOLDER all folders of the configuration are watched. A recording is taken once it is whole and has
    stopped changing. The engine that does the jobs is started if there is none, and goes on afterwards.
    """
    import threading

    from engine.config import load_config
    from engine.queue.client import QueueClient
    from stemfix.interrupt import on_stop_signals
    from stemfix.lifeline import hold_lifeline
    from stemfix.log_lines import log_lines
    from watchers.daemon import run_watchers
    from watchers.settings import WatchSettings, check_together

    stop = threading.Event()
    if supervised:
        hold_lifeline(stop.set)
    config = load_config()
    if folder is None:
        _refuse_options(given)
        folders = config.tables("watch", WatchSettings)
    else:
        folders = (_settings(folder, **given),)
    check_together(folders)
    with on_stop_signals(stop.set), log_lines("watchers", settings.debug):
        if not supervised:
            _ensure_engine(folders)
        with QueueClient(config.engine.queue_url) as client:
            run_watchers(folders, client=client, stop=stop)


def _refuse_options(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value:
            option = {"patterns": "pattern"}.get(name, name)
            raise click.UsageError(f"--{option} goes with a FOLDER; the configuration says it for each.")


def _settings(
    folder: Path,
    preset: str | None,
    quality: str | None,
    out: Path | None,
    recursive: bool,
    patterns: tuple[str, ...],
    poll: bool | None,
    move: bool,
) -> WatchSettings:
    """One folder's settings from the command line, where a relative path lies in the current folder."""
    from pydantic import ValidationError

    from engine.errors import InputError, OptionError
    from presets.validation import first_complaint
    from watchers.settings import WatchSettings

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Check its name and place.")
    if preset is not None and (preset.endswith(".toml") or "/" in preset or "\\" in preset):
        preset = str(Path(preset).expanduser().absolute())
    values = {
        "folder": folder.absolute(),
        "preset": preset,
        "quality": quality,
        "out": None if out is None else out.expanduser().absolute(),
        "recursive": recursive,
        "patterns": patterns or None,
        "poll": None if poll is None else "always" if poll else "never",
        "when_done": "move" if move else None,
    }
    try:
        return WatchSettings(**{key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        complaint = first_complaint(WatchSettings, error, ())
        raise OptionError(f"{complaint.what}.", complaint.remedy) from None


def _ensure_engine(folders: tuple[WatchSettings, ...]) -> None:
    from engine.service.autostart import ensure_engine
    from stemfix.console import say

    beat = ensure_engine()
    names = ", ".join(str(each.folder) for each in folders)
    say(f"Watching {names}. The engine is process {beat.pid}. Ctrl-C stops watching.", error=True)

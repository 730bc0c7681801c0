"""pull_weights: fetch a model by name, with its licence shown before and its progress while it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.progress import Progress
from engine.separation import weights
from engine.separation.weights import InstalledModel
from stemfix.console import console, say
from stemfix.interrupt import stop_on_signals
from stemfix.text import plain


def pull_weights(
    name: str, *, from_dir: Path | None = None, force: bool = False, quiet: bool = False
) -> InstalledModel:
    """Pull the model `name`. The licence is shown even if quiet, the first time. Ctrl-C stops it cleanly."""
    show_licence_once(name)
    stopper = Progress()
    with _shown(quiet) as (progress, note), stop_on_signals(stopper):
        return weights.pull(
            name, from_dir=from_dir, force=force, note=note, progress=progress, cancel=stopper.check
        )


def show_licence_once(name: str) -> None:
    """Print the model's licence on stderr, unless this computer's user has seen it."""
    notice = weights.licence_notice(name)
    if notice is not None:
        say(notice, error=True)
        weights.licence_was_shown(name)


@contextmanager
def _shown(quiet: bool) -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """How a pull shows its bytes and its notes."""
    terminal = console(stderr=True)
    if quiet or not terminal.is_terminal:
        yield (lambda done, total: None), (lambda message: None if quiet else say(message, error=True))
        return

    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=terminal, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task("", total=None)
        yield (
            lambda done, total: bar.update(task, completed=done, total=total),
            lambda message: terminal.print(plain(message), soft_wrap=True),
        )

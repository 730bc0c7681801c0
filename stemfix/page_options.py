"""The options that `compare` and `report` share, and how both say where the page is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from stemfix.time_range import TimeRange

if TYPE_CHECKING:
    from engine.progress import Progress
    from engine.report.build import BuiltPage


def _excerpt(
    ctx: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[float | None, float | None]:
    """Start and stop in seconds."""
    if text is None:
        return None, None
    given = TimeRange.parse(text)
    for point in (given.start, given.stop):
        if point is not None and point.in_frames:
            raise click.BadParameter("give seconds or minutes here, such as 30:1m30s")
    start, stop = (None if point is None else float(point.value) for point in (given.start, given.stop))
    return start, stop


_OPTIONS = [
    click.option("--full-quality", is_flag=True, help="FLAC too, in a folder beside the page."),
    click.option(
        "--range", "excerpt", callback=_excerpt, metavar="START:END", help="A part only, such as 30:1m30s."
    ),
    click.option("--measure-all", is_flag=True, help="Measure the whole mixes, not 30 s of them."),
    click.option("--open", "open_it", is_flag=True, help="Open the page in the browser."),
    click.option("--quiet", is_flag=True, help="Say nothing but errors."),
]


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def build_shown(build: Callable[[Progress], BuiltPage]) -> BuiltPage:
    """Build a page; Ctrl-C stops it and leaves nothing behind."""
    from engine.progress import Progress
    from stemfix.interrupt import stop_on_signals

    progress = Progress()
    with stop_on_signals(progress):
        return build(progress)


def tell_page(page: BuiltPage, open_it: bool, quiet: bool) -> None:
    """Say where the page is, and open it if that was asked for."""
    from stemfix.console import say
    from stemfix.monitor.opener import open_file
    from stemfix.text import bytes_text, plain

    for note in page.notes:
        say(plain(f"Note: {note}"), error=True)
    if not quiet:
        say(plain(f"The page is {page.path} ({bytes_text(page.bytes)})."))
    if open_it:
        message = open_file(page.path)
        if not quiet:
            say(plain(message), error=True)

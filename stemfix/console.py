"""Where output goes: results to stdout, everything else to stderr, with colour only on a terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from stemfix.text import finite, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console(stderr: bool = False) -> Console:
    """A rich console on the stream of this moment; no markup in what is printed, and NO_COLOR is honoured."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def interactive() -> bool:
    """True if somebody can be asked: both the questions and the answers go through a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table in the style of this program; the columns in `right` are aligned to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def say_table(rows: Table) -> None:
    """Print a table on stdout; in a pipe its lines end at their last character."""
    terminal = console()
    if terminal.is_terminal:
        terminal.print(rows)
        return
    with terminal.capture() as captured:
        terminal.print(rows)
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))


def say(text: str = "", *, error: bool = False) -> None:
    """Print `text` as it is, however long its lines: a path must stay in one piece.

    A path or another foreign text with a line break in it has to go through `plain` first.
    """
    click.echo("\n".join(plain(line) for line in text.split("\n")), err=error)


def say_json(value: Any) -> None:
    """Print `value` as one line of strict JSON on stdout, at once."""
    click.echo(json.dumps(finite(value), allow_nan=False))
    sys.stdout.flush()

"""What a failure looks like to the user: one line on stderr and an exit status."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass

import click

from engine.errors import StemfixError
from stemfix.text import plain

#: The status of a program that the user stopped.
INTERRUPTED = 130


@dataclass
class Settings:
    """What holds for the whole run of the program."""

    debug: bool = False
    #: The command line as it was given, without the program's name.
    arguments: tuple[str, ...] = ()


def failure(error: BaseException) -> tuple[str, int]:
    """One line that says what happened and what to do, and the exit status that goes with it."""
    if isinstance(error, StemfixError):
        return str(error), error.exit_status
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "Cancelled.", INTERRUPTED
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    if isinstance(error, MemoryError):
        return "There is not enough memory. Close other programs, or give a shorter --segment.", 1
    kind = type(error).__name__
    what = " ".join(str(error).split())
    return f"Unexpected {kind}: {what}. Run it again as 'stemfix --debug ...' to see where it came from.", 1


def report_failure(error: BaseException, settings: Settings) -> int:
    """Tell the user about `error` on stderr and return the exit status."""
    line, status = failure(error)
    if settings.debug and not isinstance(error, (click.ClickException, click.Abort)):
        traceback.print_exception(error, file=sys.stderr)
    click.echo(f"stemfix: {plain(line)}", err=True)
    return status

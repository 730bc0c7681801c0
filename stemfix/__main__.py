"""main(): the program's entry; every failure ends here as one line and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from stemfix.cli import cli
from stemfix.failure import Settings, report_failure


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            # A name that the terminal's encoding can't show must not end the program.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    given = tuple(sys.argv[1:] if arguments is None else arguments)
    settings = Settings(arguments=given)
    try:
        status = cli.main(args=list(given), prog_name="stemfix", obj=settings, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # What is left in the buffer has nowhere to go; without this Python complains at its end.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        return report_failure(error, settings)
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())

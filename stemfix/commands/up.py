"""`stemfix up`: the engine and the watched folders together, kept running until it is stopped."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import click

#: A log that is larger at the start is put aside, and the one before it goes.
_LOG_BYTES = 5_000_000


@click.command("up")
@click.option(
    "--log-file", type=click.Path(path_type=Path), metavar="FILE", help="Write there, not to the terminal."
)
def command(log_file: Path | None) -> None:
    """Run the engine and the watched folders of the configuration until Ctrl-C.

    A part that dies is started again. An engine that runs already is used.
    """
    from engine.config import load_config
    from stemfix.child import ChildProcess
    from stemfix.console import say
    from stemfix.interrupt import on_stop_signals
    from stemfix.only_up import only_up
    from stemfix.parts import parts
    from stemfix.supervisor import Supervisor

    output = None if log_file is None else _open_log(log_file)

    def tell(line: str) -> None:
        stamped = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}"
        if output is None:
            say(stamped, error=True)
        else:
            os.write(output, f"{stamped}\n".encode())

    try:
        found = parts(load_config())
        stop = threading.Event()
        with only_up(), on_stop_signals(stop.set):
            names = [part.name for part in found]
            if "watch" not in names:
                tell("No folder is watched; name one with [[watch]] in the configuration.")
            Supervisor(found, tell, start=lambda part: ChildProcess(part.command, output)).run(stop)
        tell("Stopped.")
    except Exception as error:
        if output is not None:
            tell(f"stemfix: {error}")
        raise


def _open_log(path: Path) -> int:
    """A handle at the end of the log, private to the user. Raises OutputError."""
    from engine.files import output_errors

    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > _LOG_BYTES:
            os.replace(path, path.with_name(f"{path.name}.1"))
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

"""Child: one part's process as its supervisor sees it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol


class Child(Protocol):
    """A process that was started."""

    pid: int

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        ...

    def ask(self) -> None:
        """Ask it to stop in good order; returns at once."""
        ...

    def kill(self) -> None:
        """End it hard and wait until it is gone."""
        ...


class ChildProcess:
    """A real one, at the end of a lifeline (`stemfix.lifeline`).

    It has a session of its own, so that a Ctrl-C in the terminal and a logoff reach the supervisor alone,
    which then stops its parts in order.

    Raises OSError if it can't be started.
    """

    def __init__(self, command: Sequence[str], output: int | None = None) -> None:
        own_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Its lines have to reach a log while it runs.
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            creationflags=own_group,
        )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """See `Child`."""
        return self._process.poll()

    def ask(self) -> None:
        """Send SIGTERM or, on Windows, where that would end it hard, let go of the lifeline."""
        if sys.platform != "win32":
            self._process.terminate()
        elif self._process.stdin:
            with suppress(OSError):
                self._process.stdin.close()

    def kill(self) -> None:
        """See `Child`."""
        self._process.kill()
        self._process.wait()


def how_it_ended(status: int) -> str:
    """Such as `exit status 2` or `killed by SIGKILL`."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"

"""run_tool: calls a program of the system, such as systemctl, and never fails because it is not there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What the program said."""

    status: int
    out: str = ""

    @property
    def ok(self) -> bool:
        """True if it did what it was asked to."""
        return self.status == 0

    @property
    def last_line(self) -> str:
        """The last thing it said, which is where such programs put the reason."""
        lines = [line.strip() for line in self.out.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self.status}"


RunTool = Callable[[Sequence[str]], Answer]

_NOT_THERE = 127
_TIMEOUT_S = 60


def run_tool(command: Sequence[str]) -> Answer:
    """Run `command` and return what it said on both streams together."""
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
        )
    except FileNotFoundError:
        return Answer(_NOT_THERE, f"{command[0]} is not installed")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Answer(_NOT_THERE, str(error))
    return Answer(done.returncode, _text(done.stdout))


def _text(raw: bytes) -> str:
    """Windows' tools answer in UTF-16 or in the console's code page; what matters in it is ASCII."""
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return raw.decode(encoding, errors="replace")

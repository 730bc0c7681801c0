"""How a running job tells where it is, and how it is told to stop."""

from __future__ import annotations

import threading
from typing import Literal

from engine.errors import Cancelled

Stage = Literal["read", "repair", "separate", "enhance", "align", "publish"]
STAGES: tuple[Stage, ...] = ("read", "repair", "separate", "enhance", "align", "publish")


class Progress:
    """Receives a job's progress; this base class only carries the cancel flag.

    Subclass it to show or store what is reported. Any thread may call `cancel()`;
    the job notices at its next `check()`, within one segment or block.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()

    def update(self, stage: Stage, done: int, total: int) -> None:
        """`done` of `total` units of `stage` are finished (units differ per stage)."""

    def note(self, message: str) -> None:
        """One sentence that the user should read, such as a fallback that was taken."""

    def cancel(self) -> None:
        """Ask the job to stop."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """True once `cancel()` was called."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise `Cancelled` if the job was asked to stop."""
        if self._cancelled.is_set():
            raise Cancelled

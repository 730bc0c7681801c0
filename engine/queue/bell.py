"""Bell: an event that others wait for with a time-out, which can be rung to end that wait early."""

from __future__ import annotations

import threading


class Bell(threading.Event):
    """Set when it is over; until then `ring` wakes who waits in `wait`, which tells whether it is over."""

    def __init__(self) -> None:
        super().__init__()
        self._rung = threading.Event()

    def ring(self) -> None:
        """Wake the one that waits, or let its next wait end at once."""
        self._rung.set()

    def stop(self) -> None:
        """It is over."""
        self.set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a ring or the end, at most `timeout` seconds; True if it is over."""
        self._rung.wait(timeout)
        self._rung.clear()
        return self.is_set()

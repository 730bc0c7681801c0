"""Bell: an event that others wait for with a time-out, which can be rung to end that wait early."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Seconds that a round may take to settle, and between two looks.
_SETTLE_S, _LOOK_S = 5.0, 0.005


class Bell(threading.Event):
    """Set when it is over; until then `ring` wakes who waits in `wait`, which tells whether it is over.

    `settled` tells whether the round before is finished; a ring that comes earlier waits for it.
    """

    def __init__(self, settled: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self._settled = settled
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
        until = time.monotonic() + _SETTLE_S
        while not self.is_set() and time.monotonic() < until and not self._settled():
            time.sleep(_LOOK_S)
        return self.is_set()

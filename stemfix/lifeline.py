"""Lifeline: a part stops when the supervisor that started it is gone, however it ended.

The supervisor holds the writing end of a pipe that is the part's standard input, and never writes. The system
closes it when the supervisor dies, be it by `kill -9`. This is the same on Linux, macOS and Windows, needs no
polling, and unlike with Linux's `PR_SET_PDEATHSIG` the part can end in good order.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

#: A part that has not ended so long after its supervisor is ended hard: its jobs are durable.
PATIENCE_S = 10.0


def hold_lifeline(stop: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Call `stop` once standard input ends, and end this process `patience_s` after that at the latest."""

    def wait_for_the_end() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        stop()
        time.sleep(patience_s)
        os._exit(1)

    threading.Thread(target=wait_for_the_end, name="lifeline", daemon=True).start()

"""stop_on_signals: Ctrl-C and friends ask the running job to stop, and it leaves nothing half-written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine.progress import Progress

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


@contextmanager
def stop_on_signals(progress: Progress) -> Iterator[None]:
    """Within the block a signal calls `progress.cancel()`, the first time and every other time.

    A signal that the caller's shell ignores (`nohup`) stays ignored. Only a main thread may set handlers;
    in any other the block changes nothing.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        progress.cancel()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)

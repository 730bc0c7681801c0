"""on_stop_signals: Ctrl-C and friends ask what is running to stop, and it leaves nothing half-done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from engine.progress import Progress

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
]


def stop_on_signals(progress: Progress) -> AbstractContextManager[None]:
    """Within the block a signal calls `progress.cancel()`; see `on_stop_signals`."""
    return on_stop_signals(progress.cancel)


@contextmanager
def on_stop_signals(stop: Callable[[], object]) -> Iterator[None]:
    """Within the block a signal calls `stop`, the first time and every other time.

    A signal that the caller's shell ignores (`nohup`) stays ignored. Only a main thread may set handlers;
    in any other the block changes nothing.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)

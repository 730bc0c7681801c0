"""run_monitor: the live monitor, from its first picture until the user quits."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console

from stemfix.monitor.feed import Feed
from stemfix.monitor.glyphs import glyphs_for
from stemfix.monitor.keys import Keyboard
from stemfix.monitor.opener import open_folder, open_page
from stemfix.monitor.screen import Screen
from stemfix.monitor.snapshot import JobStatus
from stemfix.monitor.ui import Request, Ui, follow, press
from stemfix.monitor.view import Size, page
from stemfix.monitor.words import job_name

if TYPE_CHECKING:
    from engine.queue.client import QueueClient

#: Between two pictures, unless a key was pressed.
_LEAST_S = 0.25
#: Between two looks at the log that is shown.
_LOG_S = 1.0
#: What comes through the keyboard's queue and is no key.
_NEWS, _RESIZE, _SUSPEND, _QUIT = "(news)", "(resize)", "(suspend)", "(quit)"


def run_monitor(console: Console, open_jobs: Callable[[], QueueClient]) -> None:
    """Show the monitor on the terminal until `q`, Ctrl-C or SIGTERM; the terminal is left as it was."""
    keyboard = Keyboard()
    feed = Feed(open_jobs, changed=lambda: keyboard.send(_NEWS))
    with _signals(keyboard):
        Monitor(Screen(console), keyboard, feed, console.encoding).run()


class Monitor:
    """The loop: wait for a key or for news, change what the user sees, draw it."""

    def __init__(self, screen: Screen, keyboard: Keyboard, feed: Feed, encoding: str) -> None:
        self._screen, self._keyboard, self._feed = screen, keyboard, feed
        self._glyphs = glyphs_for(encoding)
        self._ui = Ui()
        #: What the feed's thread has to say about `_ui`; only the loop changes it.
        self._changes: queue.SimpleQueue[Callable[[Ui], Ui]] = queue.SimpleQueue()
        self._log_asked = 0.0

    def run(self) -> None:
        """Until the user quits."""
        with ExitStack() as terminal, self._feed:
            self._enter(terminal)
            due: float | None = 0.0
            while True:
                if due is not None and time.monotonic() >= due:
                    self._draw()
                    due = None
                wait = 0.5 if due is None else max(due - time.monotonic(), 0.0)
                event = self._keyboard.get(wait)
                if event == _QUIT:
                    return
                if event == _NEWS:
                    due = due or time.monotonic() + _LEAST_S
                elif event == _SUSPEND:
                    self._suspend(terminal)
                    due = 0.0
                elif event == _RESIZE:
                    self._screen.redraw()
                    due = 0.0
                elif event is not None:
                    self._ui, request = press(self._ui, event, self._feed.snapshot)
                    if request is not None and not self._carry_out(request):
                        return
                    due = 0.0

    def _draw(self) -> None:
        while not self._changes.empty():
            self._ui = self._changes.get()(self._ui)
        snapshot = self._feed.snapshot
        self._ui = follow(self._ui, snapshot)
        if self._ui.page == "log" and time.monotonic() > self._log_asked + _LOG_S:
            self._ask_for_log(self._ui.selected)
        self._screen.show(page(snapshot, self._ui, Size(*self._screen.size), self._glyphs))

    def _carry_out(self, request: Request) -> bool:
        """False if the user wants to quit."""
        job = request.job
        if request.verb == "quit" or job is None:
            return False
        if request.verb == "log":
            self._ask_for_log(job.job_id)
        elif request.verb == "open":
            self._say(open_folder(Path(job.folder)))
        elif request.verb == "page":
            self._say(open_page(Path(job.folder)))
        elif request.verb == "cancel":
            self._feed.do(lambda jobs: _cancel(jobs, job), self._say, self._say)
        elif request.verb == "retry":
            self._feed.do(lambda jobs: _retry(jobs, job), self._say, self._say)
        return True

    def _ask_for_log(self, job_id: str | None) -> None:
        self._log_asked = time.monotonic()
        if job_id is None:
            return

        def tell(lines: list[str]) -> None:
            self._change(lambda ui: replace(ui, log=tuple(lines)) if ui.selected == job_id else ui)

        self._feed.do(lambda jobs: jobs.log(job_id), tell, self._say)

    def _say(self, message: str) -> None:
        self._change(lambda ui: replace(ui, message=message))

    def _change(self, change: Callable[[Ui], Ui]) -> None:
        self._changes.put(change)
        self._keyboard.send(_NEWS)

    def _enter(self, terminal: ExitStack) -> None:
        terminal.enter_context(self._screen)
        terminal.enter_context(self._keyboard)

    def _suspend(self, terminal: ExitStack) -> None:
        """Ctrl-Z: the shell gets its terminal back, until it brings the monitor to the foreground again."""
        if hasattr(signal, "SIGTSTP"):
            terminal.close()
            ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, ours)
            self._enter(terminal)


def _cancel(jobs: QueueClient, job: JobStatus) -> str:
    asked = jobs.cancel(job.job_id)
    return f"{job_name(job)} is being cancelled." if asked else f"{job_name(job)} has ended already."


def _retry(jobs: QueueClient, job: JobStatus) -> str:
    return f"{job_name(job)} is in the queue again: {jobs.retry(job.job_id)}"


@contextmanager
def _signals(keyboard: Keyboard) -> Iterator[None]:
    """Within the block signals become events of the loop. Only a main thread may set handlers."""
    events = {
        "SIGINT": _QUIT,
        "SIGTERM": _QUIT,
        "SIGHUP": _QUIT,
        "SIGBREAK": _QUIT,
        "SIGWINCH": _RESIZE,
        "SIGTSTP": _SUSPEND,
    }
    by_number = {getattr(signal, name): event for name, event in events.items() if hasattr(signal, name)}
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        keyboard.send(by_number[number])

    before = {number: signal.signal(number, pass_on) for number in by_number}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

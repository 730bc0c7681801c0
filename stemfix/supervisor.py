"""Supervisor: keeps the parts of the service running, and stops all of them together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stemfix.child import Child, ChildProcess, how_it_ended
from stemfix.text import plain

#: Between two looks at the parts.
_LOOK_S = 0.5
_LONGEST_DELAY_S = 60.0
#: A part that ran so long was well: its next death is its first.
_HEALTHY_S = 60.0
#: What a part gets to stop in good order; less than a system grants at a logoff or shutdown.
_GRACE_S = 8.0


def nobody() -> None:
    """No other process does the part's work."""
    return


@dataclass(frozen=True)
class Part:
    """A program that has to run all the time."""

    name: str
    command: tuple[str, ...]
    #: The process id of one that does this part's work already and was started by somebody else.
    elsewhere: Callable[[], int | None] = nobody


@dataclass
class _State:
    part: Part
    child: Child | None = None
    #: The process that is used instead of one of our own.
    adopted: int | None = None
    deaths: int = 0
    began: float = 0.0
    #: When it is started next.
    due: float = 0.0


class Supervisor:
    """Starts each part, and again when it dies: after 1, 2, 4 and so on up to 60 s, and never gives up.

    A part that somebody else runs already is used and watched; when it is gone, the supervisor's own takes
    over. Such a process is left running at the end.

    Args:
        parts: what has to run, in the order in which it is started.
        say: told one line per event.
        start: starts a part's process; raises OSError.
        clock: seconds, from any origin.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        say: Callable[[str], None],
        start: Callable[[Part], Child] = lambda part: ChildProcess(part.command),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._states = [_State(part) for part in parts]
        self._say = say
        self._start = start
        self._clock = clock
        self._sleep = sleep

    def run(self, stop: threading.Event) -> None:
        """Keep the parts running until `stop` is set; they are gone when this returns."""
        try:
            while not stop.is_set():
                self.look()
                stop.wait(_LOOK_S)
        finally:
            self.stop()

    def look(self) -> None:
        """Look at every part once, and do what is due."""
        for state in self._states:
            if state.child is not None:
                self._look_at_child(state, state.child)
            elif state.adopted is not None:
                self._look_at_adopted(state, state.adopted)
            elif self._clock() >= state.due:
                self._begin(state)

    def stop(self) -> None:
        """Ask all parts to stop, and after a few seconds end those that have not."""
        running = [(state.part.name, state.child) for state in self._states if state.child is not None]
        for _, child in running:
            child.ask()
        deadline = self._clock() + _GRACE_S
        while running:
            for name, child in list(running):
                status = child.poll()
                late = status is None and self._clock() >= deadline
                if late:
                    child.kill()
                if late or status is not None:
                    running.remove((name, child))
                    self._tell(name, f"did not stop in {_GRACE_S:g} s and was killed" if late else "stopped")
            if running:
                self._sleep(0.05)
        for state in self._states:
            state.child = None
            if state.adopted is not None:
                self._tell(state.part.name, f"process {state.adopted} goes on; it was not started from here")

    def _begin(self, state: _State) -> None:
        state.adopted = state.part.elsewhere()
        if state.adopted is not None:
            self._tell(state.part.name, f"runs already, process {state.adopted}; it is used")
            return
        state.began = self._clock()
        try:
            state.child = self._start(state.part)
        except OSError as error:
            self._again(state, f"can't be started: {error}")
        else:
            self._tell(state.part.name, f"started, process {state.child.pid}")

    def _look_at_child(self, state: _State, child: Child) -> None:
        status = child.poll()
        if status is None:
            return
        state.child = None
        if self._clock() - state.began >= _HEALTHY_S:
            state.deaths = 0
        self._again(state, f"ended by itself ({how_it_ended(status)})")

    def _look_at_adopted(self, state: _State, pid: int) -> None:
        state.adopted = state.part.elsewhere()
        if state.adopted is None:
            self._tell(state.part.name, f"process {pid} is gone")
            self._begin(state)
        elif state.adopted != pid:
            self._tell(state.part.name, f"process {pid} is gone; process {state.adopted} is used now")

    def _again(self, state: _State, what: str) -> None:
        delay = min(2.0**state.deaths, _LONGEST_DELAY_S)
        state.deaths = min(state.deaths + 1, 1000)
        state.due = self._clock() + delay
        times = f", {state.deaths} times in a row" if state.deaths > 2 else ""
        lasting = "; this goes on until it works" if delay == _LONGEST_DELAY_S else ""
        self._tell(state.part.name, f"{what}{times}; started again in {delay:g} s{lasting}")

    def _tell(self, name: str, what: str) -> None:
        self._say(plain(f"{name}: {what}."))

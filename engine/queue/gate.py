"""Gate: lets steps run side by side, but one that may have ended the engine before only alone.

When an engine dies, every step that ran in it is a suspect. Run again one by one, only the guilty one dies
again, and no other job is given up for its neighbour's sake.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds between two questions whether to go on waiting.
_ASK_S = 0.1


class Gate:
    """Shared by all steps of an engine."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._alone = False
        self._waiting_alone = 0

    @contextmanager
    def enter(self, alone: bool, check: Callable[[], None]) -> Iterator[None]:
        """Wait until there is room, and hold it; `check` is called now and then and may raise."""
        with self._changed:
            self._waiting_alone += alone
            try:
                while self._alone or (self._inside if alone else self._waiting_alone):
                    check()
                    self._changed.wait(_ASK_S)
                self._alone = alone
                self._inside += 1
            finally:
                self._waiting_alone -= alone
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._alone = False
                self._changed.notify_all()

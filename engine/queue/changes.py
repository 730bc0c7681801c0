"""Changes: has anybody written to the queue's database since the last look? Nearly free on SQLite."""

from __future__ import annotations

import sqlite3
from time import monotonic

from engine.queue.database import is_sqlite, sqlite_path

#: A server can't be asked that; it is taken to have changed so often.
_SERVER_S = 0.5


class Changes:
    """Belongs to the thread that made it."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(sqlite_path(url)) if is_sqlite(url) else None
        self._version = -1
        self._asked = 0.0

    def any(self) -> bool:
        """Whether anything was written since this was asked last; True at first."""
        if self._connection is None:
            now = monotonic()
            if now - self._asked < _SERVER_S:
                return False
            self._asked = now
            return True
        version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        changed = version != self._version
        self._version = version
        return changed

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()

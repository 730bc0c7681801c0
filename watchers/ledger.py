"""Ledger: what was taken from the watched folders, in an SQLite file that survives restarts."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import OutputError
from engine.files import output_errors
from watchers.complete import Signature

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, folder BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode TEXT NOT NULL, ctime_ns INTEGER NOT NULL,
    state TEXT NOT NULL, message TEXT NOT NULL, digest TEXT NOT NULL, settings TEXT NOT NULL,
    job_id TEXT NOT NULL, same_as BLOB NOT NULL, results TEXT NOT NULL, changed_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS files_content ON files (digest, settings);
CREATE INDEX IF NOT EXISTS files_job ON files (job_id);
CREATE INDEX IF NOT EXISTS files_state ON files (folder, state);
"""
_COLUMNS = (
    "path, folder, size, mtime_ns, inode, ctime_ns, "
    "state, message, digest, settings, job_id, same_as, results, changed_at"
)
_PUT = f"INSERT OR REPLACE INTO files ({_COLUMNS}) VALUES ({', '.join('?' * 14)})"


class FileState(str, Enum):
    """How far a file has come."""

    #: Its job has an id and may or may not be in the queue yet.
    CLAIMED = "claimed"
    #: Its job is in the queue, or runs.
    QUEUED = "queued"
    #: Its job is done; the source has yet to be moved.
    FINISHED = "finished"
    DONE = "done"
    #: Its job failed.
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: It is not whole, or no audio that can be read; no job was made.
    REFUSED = "refused"


#: Has a job that has not ended.
OPEN = (FileState.CLAIMED, FileState.QUEUED)
#: Has results, or will have: the same content need not be done again.
SERVED = (*OPEN, FileState.FINISHED, FileState.DONE)


class Known(NamedTuple):
    """The part of an entry that tells whether a file needs attention."""

    state: FileState
    signature: Signature

    def describes(self, found: Signature) -> bool:
        """Whether nothing needs to be done about a file with this signature."""
        if self.state is FileState.REFUSED:  # other permissions may be all it needs
            return self.signature.same_status(found)
        return self.signature.same_content(found)


@dataclass(frozen=True)
class Entry:
    """One file."""

    path: str
    #: The watched folder.
    folder: str
    signature: Signature
    state: FileState
    message: str = ""
    #: SHA-256 of the file's bytes, and of the settings; empty where no job was made.
    digest: str = ""
    settings: str = ""
    job_id: str = ""
    #: The file of the same content whose job this one shares.
    same_as: str = ""
    #: The folder with the results.
    results: str = ""
    #: Seconds since the epoch.
    changed_at: float = 0.0

    def describes(self, signature: Signature) -> bool:
        """Whether nothing needs to be done about a file with this signature."""
        return Known(self.state, self.signature).describes(signature)


class Ledger:
    """Threads may share one. Raises OutputError where the file can't be opened or written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        #: Counts the writes, so that a reader of `counts` knows when to ask again.
        self.writes = 0
        with output_errors(path):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files follow its mode
            if os.name != "nt":
                path.chmod(0o600)
        self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        with self._using() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            # A loss of power may take back the last claims: their jobs then find their own results.
            connection.execute("PRAGMA synchronous = NORMAL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                self._connection.close()
                raise OutputError(
                    f"{path} was written by a newer stemfix.", "Update stemfix, or move the file away."
                )
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def entry(self, path: str) -> Entry | None:
        """The file at `path`, if it was ever dealt with."""
        return next(self._select("path = ?", os.fsencode(path)), None)

    def entries(self, folder: str, *states: FileState) -> Iterator[Entry]:
        """Files of a watched folder in one of the states, or in any, by path."""
        yield from self._select(f"folder = ? {_among(states)} ORDER BY path", os.fsencode(folder))

    def known(self, folder: str) -> dict[str, Known]:
        """All files of a watched folder, by path."""
        query = "SELECT path, state, size, mtime_ns, inode, ctime_ns FROM files WHERE folder = ?"
        with self._using() as connection, closing(connection.execute(query, (os.fsencode(folder),))) as rows:
            return {
                os.fsdecode(path): Known(FileState(state), Signature(size, mtime_ns, int(inode), ctime_ns))
                for path, state, size, mtime_ns, inode, ctime_ns in rows
            }

    def of_job(self, job_id: str) -> list[Entry]:
        """The files that share a job: the one it was made for, then those with the same content."""
        return sorted(self._select("job_id = ?", job_id), key=lambda entry: bool(entry.same_as))

    def twins(self, path: str, digest: str, settings: str) -> list[Entry]:
        """Other files with this content and these settings that have results or will have, newest first."""
        found = self._select(
            f"digest = ? AND settings = ? AND path != ? {_among(SERVED)} ORDER BY changed_at DESC",
            digest,
            settings,
            os.fsencode(path),
        )
        return list(found)

    def open_jobs(self, folder: str) -> list[str]:
        """Ids of a folder's jobs that have not ended, oldest first."""
        query = f"SELECT job_id FROM files WHERE folder = ? {_among(OPEN)} GROUP BY job_id ORDER BY job_id"
        with self._using() as connection, closing(connection.execute(query, (os.fsencode(folder),))) as rows:
            return [row[0] for row in rows]

    def counts(self, folder: str) -> Counter[FileState]:
        """How many files of a folder are in which state."""
        query = "SELECT state, count(*) FROM files WHERE folder = ? GROUP BY state"
        with self._using() as connection, closing(connection.execute(query, (os.fsencode(folder),))) as rows:
            return Counter({FileState(state): count for state, count in rows})

    def put(self, entry: Entry) -> Entry:
        """Write one file down, in place of what was known of it."""
        entry = replace(entry, changed_at=time.time())
        found = entry.signature
        values = (
            *(
                os.fsencode(entry.path),
                os.fsencode(entry.folder),
                found.size,
                found.mtime_ns,
                str(found.inode),
                found.ctime_ns,
            ),
            *(entry.state.value, _text(entry.message), entry.digest, entry.settings),
            *(entry.job_id, os.fsencode(entry.same_as), entry.results, entry.changed_at),
        )
        with self._using() as connection:
            connection.execute(_PUT, values)
            self.writes += 1
        return entry

    def forget(self, path: str) -> None:
        """The next file at `path` is a new one."""
        with self._using() as connection:
            connection.execute("DELETE FROM files WHERE path = ?", (os.fsencode(path),))
            self.writes += 1

    def _select(self, where: str, *values: str | bytes) -> Iterator[Entry]:
        query = f"SELECT {_COLUMNS} FROM files WHERE {where}"
        with self._using() as connection, closing(connection.execute(query, values)) as rows:
            found = rows.fetchall()
        return (_entry(row) for row in found)

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.DatabaseError as error:
                raise OutputError(
                    f"The list of watched files {self._path} can't be used: {error}.",
                    "Check the disk; if the file is damaged, move it away.",
                ) from error


def _among(states: tuple[FileState, ...]) -> str:
    """Part of a query; the states are our own words."""
    return f"AND state IN ({', '.join(repr(state.value) for state in states)})" if states else ""


def _text(message: str) -> str:
    """Names on Linux may be bytes that are no text; SQLite takes none in a text."""
    return message.encode("utf-8", "replace").decode()


def _entry(row: tuple[Any, ...]) -> Entry:
    path, folder, size, mtime_ns, inode, ctime_ns, state, message, digest, settings, *others = row
    job_id, same_as, results, changed_at = others
    return Entry(
        path=os.fsdecode(path),
        folder=os.fsdecode(folder),
        signature=Signature(size, mtime_ns, int(inode), ctime_ns),
        state=FileState(state),
        message=message,
        digest=digest,
        settings=settings,
        job_id=job_id,
        same_as=os.fsdecode(same_as),
        results=results,
        changed_at=changed_at,
    )

"""Completeness: takes look after look at files and says which are complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from engine.audio.probe import probe
from engine.errors import InputError
from watchers.presence import end_is_unwritten, in_the_cloud, is_being_written
from watchers.settings import WatchSettings
from watchers.wholeness import Whole, wholeness


@dataclass(frozen=True)
class Signature:
    """What tells that a file has changed."""

    size: int
    mtime_ns: int
    inode: int
    #: Also moves when permissions change.
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Signature:
        """From what `lstat` said."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)

    @classmethod
    def at(cls, path: str | Path) -> Signature | None:
        """Of the plain file at `path`; None where there is none, or it can't be asked."""
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            return None
        return cls.of(found) if stat.S_ISREG(found.st_mode) else None

    def same_content(self, other: Signature) -> bool:
        """Whether nothing says that the content differs.

        Another inode alone says nothing: on FAT, and through FUSE and SMB, it may be another every time.
        """
        same_file = self.inode == other.inode or self.ctime_ns == other.ctime_ns
        return same_file and (self.size, self.mtime_ns) == (other.size, other.mtime_ns)

    def same_status(self, other: Signature) -> bool:
        """Whether neither content nor permissions changed."""
        return self.same_content(other) and self.ctime_ns == other.ctime_ns


class State(Enum):
    """What a look found."""

    #: No such plain file (any more).
    GONE = "gone"
    #: It changes, or has not been looked at often enough.
    SETTLING = "settling"
    #: It has settled but is not complete; `message` says why.
    WAITING = "waiting"
    #: The same for longer than the patience: to be reported.
    STUCK = "stuck"
    #: Complete.
    READY = "ready"


@dataclass(frozen=True)
class Finding:
    """What a look found, and the signature of the file it was found of."""

    state: State
    message: str = ""
    signature: Signature | None = None


class _Judgement(Enum):
    COMPLETE = 1
    #: As far as can be told, but its header gives no length.
    UNSURE = 2
    INCOMPLETE = 3


@dataclass
class _Watched:
    """What is remembered of one file between two looks."""

    signature: Signature
    #: When it had this signature first.
    since: float
    looks: int = 0
    judgement: tuple[_Judgement, str] | None = None


class Completeness:
    """Remembers what it saw of each file until it is told to forget it.

    Complete is a file whose size and times did not change over `stable_looks` looks, whose data are as long
    as its header promises, that nobody writes to, and that can be opened as audio. Where the header promises
    nothing the file must be still for `patience_s`.
    """

    def __init__(self, settings: WatchSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._files: dict[str, _Watched] = {}

    def forget(self, path: str) -> None:
        """Start from nothing at the next look."""
        self._files.pop(path, None)

    def look(self, path: str) -> Finding:
        """Look at the file once. Looks must lie `interval_s` apart."""
        signature = Signature.at(path)
        if signature is None:
            self.forget(path)
            return Finding(State.GONE)
        now = self._clock()
        watched = self._files.get(path)
        if watched is None or not watched.signature.same_status(signature):
            watched = self._files[path] = _Watched(signature, since=now)
        watched.looks += 1
        if watched.looks < self._settings.stable_looks:
            return Finding(State.SETTLING, "", signature)
        if watched.judgement is None:
            watched.judgement = _judge(Path(path), signature.size)
        return self._weigh(path, watched, now - watched.since)

    def _weigh(self, path: str, watched: _Watched, still_s: float) -> Finding:
        assert watched.judgement is not None
        judgement, message = watched.judgement
        patient = still_s >= self._settings.patience_s
        if judgement is _Judgement.INCOMPLETE:
            return Finding(State.STUCK if patient else State.WAITING, message, watched.signature)
        if judgement is _Judgement.UNSURE and not patient:
            message = "its format does not tell its length, so it must lie still for longer"
            return Finding(State.WAITING, message, watched.signature)
        if is_being_written(Path(path)):
            return Finding(State.WAITING, "another program has it open for writing", watched.signature)
        return Finding(State.READY, "", watched.signature)


def _judge(path: Path, size: int) -> tuple[_Judgement, str]:
    """Look into a file that has not changed for some time."""
    incomplete = _Judgement.INCOMPLETE
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return incomplete, "its name, or its folder's, is not UTF-8: rename it"
    if size == 0:
        return incomplete, "incomplete: it is empty (0 bytes)"
    try:
        if in_the_cloud(os.stat(path)):
            return incomplete, "incomplete: its content is in the cloud, not on this computer"
        if end_is_unwritten(path, size):
            return incomplete, "incomplete: nothing was written to its end yet"
        found = wholeness(path)
        if found.whole is Whole.NO:
            return incomplete, f"incomplete: {found.missing}"
        probe(path)
    except InputError as error:
        return incomplete, str(error)
    except OSError as error:
        return incomplete, f"it can't be read: {error.strerror or error}"
    return (_Judgement.COMPLETE if found.whole is Whole.YES else _Judgement.UNSURE), ""

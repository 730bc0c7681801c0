"""FolderWatch: one watched folder, from a file's first sight to its job's end, one step at a time."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal

from engine.errors import StemfixError
from watchers.attachment import Attachment, Observe, Place
from watchers.complete import Completeness, Signature, State
from watchers.follower import Follower
from watchers.job_queue import JobQueue
from watchers.ledger import OPEN, SERVED, Entry, FileState, Ledger
from watchers.notes import note_failure, remove_notes
from watchers.observation import POLL_S, Hints, Observation
from watchers.search import Search
from watchers.settings import WatchSettings
from watchers.status import FolderStatus
from watchers.taker import Taker

log = logging.getLogger(__name__)

#: Seconds between two searches of a folder that is observed, whatever the observer said meanwhile.
SEARCH_S = 60.0
#: Seconds between two looks whether the folder is there, and between two questions to the queue.
_ROUND_S = 2.0
#: Seconds after which what went wrong is tried again.
_RETRY_S = 5.0
#: Files that are looked at by turns; the others wait for a place among them, so that memory stays flat.
_LOOKED_AT = 512


class FolderWatch:
    """Call `tick` again and again, from one thread. `hints.wake` is set when the next tick should come early.

    Raises nothing: what goes wrong stands in `status`, and is tried again.
    """

    def __init__(
        self,
        settings: WatchSettings,
        ledger: Ledger,
        queue: JobQueue,
        *,
        lock: threading.RLock,
        clock: Callable[[], float],
        stop: threading.Event,
        others: Collection[Path] = (),
        observe: Observe = Observation,
    ) -> None:
        self.settings = settings
        self.hints = Hints()
        self._folder = str(settings.folder)
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._attachment = Attachment(settings, self.hints, observe)
        self._search = Search(settings, others)
        self._complete = Completeness(settings, clock)
        self._taker = Taker(settings, ledger, queue, lock, clock, stop)
        self._follower = Follower(settings, ledger, queue, self._taker)
        #: In the order of their arrival; both are sets that keep it.
        self._backlog: dict[str, None] = {}
        self._looked_at: dict[str, float] = {}
        self._next = {"search": 0.0, "look": 0.0, "round": 0.0}
        self._rest_until = self._retry_at = 0.0
        self._state: Literal["watching", "missing", "error"] = "missing"
        self._trouble = ""
        self._counted = (-1, ledger.counts(self._folder))

    def tick(self) -> float:
        """Do what is due; returns the seconds after which something else will be."""
        if self._clock() < self._retry_at:
            return _ROUND_S
        try:
            place = self._attachment.check()
            if place is Place.MISSING:
                self._state, self._trouble = "missing", self._attachment.trouble
                return _ROUND_S
            if place is Place.NEW:
                self._backlog, self._looked_at = {}, {}
                self._complete = Completeness(self.settings, self._clock)
                self.hints.search()
            self._notice()
            if self._due("round", _ROUND_S) and self._follower.follow():
                self.hints.search()
            looks = (self._looked_at or self._backlog) and self._due("look", self.settings.interval_s)
            free = self.settings.max_queued - len(self._ledger.open_jobs(self._folder)) if looks else 0
            if free > 0:
                self._look(free)
            self._state, self._trouble = "watching", ""
        except Exception as error:
            self._state = "error"
            if str(error) != self._trouble:  # once, not at every try
                level = logging.WARNING if isinstance(error, (StemfixError, OSError)) else logging.ERROR
                log.log(level, "%s: %s", self._folder, error, exc_info=level == logging.ERROR)
            self._trouble = str(error) or type(error).__name__
            self._retry_at = self._clock() + _RETRY_S
            self._next = dict.fromkeys(self._next, 0.0)  # then everything, or it would look healed
            return _ROUND_S
        return min(_ROUND_S, self.settings.interval_s) if self._looked_at or self._backlog else _ROUND_S

    def close(self) -> None:
        """Stop observing."""
        self._attachment.release()

    def status(self) -> FolderStatus:
        """How the folder does; any thread may ask."""
        writes = self._ledger.writes
        if self._counted[0] != writes:
            self._counted = writes, self._ledger.counts(self._folder)
        counts = self._counted[1]
        return FolderStatus(
            folder=_text(self._folder),
            state=self._state,
            polled=self._attachment.polled,
            waiting=len(self._backlog) + len(self._looked_at),
            taken=sum(counts.values()) - counts[FileState.REFUSED],
            queued=sum(counts[state] for state in OPEN),
            done=counts[FileState.FINISHED] + counts[FileState.DONE],
            failed=counts[FileState.FAILED] + counts[FileState.REFUSED],
            message=_text(self._trouble or self._follower.message),
        )

    def _due(self, what: str, every_s: float) -> bool:
        now = self._clock()
        # A thread wakes a little early or late.
        if now < self._next[what] - 0.1 * every_s:
            return False
        self._next[what] = now + every_s
        return True

    def _notice(self) -> None:
        """Put files that are new or changed on the backlog."""
        paths, search = self.hints.take()
        if search or self._clock() >= self._next["search"]:
            if self._clock() < self._rest_until:
                self.hints.search(wake=False)
                return
            began = self._clock()
            self._search_all()
            self._next["search"] = began + (SEARCH_S if self._attachment.observed else POLL_S)
            # However many events ask for searches, they take no more than a tenth of the time.
            self._rest_until = self._clock() + 10 * (self._clock() - began)
            return
        for path in paths:
            self._notice_one(path, self._ledger.entry(path))

    def _search_all(self) -> None:
        known = self._ledger.known(self._folder)
        fresh: list[tuple[int, str]] = []
        for path in self._search.files():
            before = known.pop(path, None)
            found = Signature.at(path)
            if found is not None and (before is None or not before.describes(found)):
                fresh.append((found.mtime_ns, path))
        for _, path in sorted(fresh):
            self._notice_one(path, self._ledger.entry(path))
        for path in known:
            self._notice_one(path, self._ledger.entry(path))
        self._follower.look_after()

    def _notice_one(self, path: str, entry: Entry | None) -> None:
        try:
            found = Signature.of(os.lstat(path))
        except FileNotFoundError:
            if entry is not None:
                self._gone(entry)
            return
        except OSError:
            return
        wanted = path not in self._looked_at and path not in self._backlog and self._search.takes(path)
        if wanted and (entry is None or not entry.describes(found)):
            self._changed(entry)
            self._backlog[path] = None

    def _changed(self, entry: Entry | None) -> None:
        """A file that was taken has changed: its job must not read what is half written."""
        if entry is not None and entry.state in OPEN:
            self._taker.withdraw(entry)

    def _gone(self, entry: Entry) -> None:
        """A file is no longer there; whatever is done stays known."""
        if entry.state in OPEN:
            self._taker.withdraw(entry)
        elif entry.state not in SERVED:
            remove_notes(entry.path)
            self._ledger.forget(entry.path)

    def _look(self, free: int) -> None:
        """Look once at each of some files, and take up to `free` that are complete."""
        now = self._clock()
        for path in list(self._backlog)[: max(_LOOKED_AT - len(self._looked_at), 0)]:
            del self._backlog[path]
            self._looked_at[path] = now
        for path, since in list(self._looked_at.items()):
            if self._stop.is_set():
                return
            found = self._complete.look(path)
            if found.state is State.READY and free > 0:
                assert found.signature is not None
                self._complete.forget(path)
                entry = self._taker.take(path, found.signature)
                if entry is not None:
                    del self._looked_at[path]
                    free -= entry.state in OPEN and not entry.same_as
                    if entry.state is FileState.FINISHED:
                        self._follower.move(entry)
            elif found.state is State.STUCK:
                self._drop(path)
                self._refuse(path, found.signature, found.message)
            elif found.state is State.GONE:
                self._drop(path)
            elif self._backlog and now - since > self.settings.patience_s:
                self._drop(path)
                self._backlog[path] = None  # let others have its place for a while

    def _drop(self, path: str) -> None:
        self._complete.forget(path)
        del self._looked_at[path]

    def _refuse(self, path: str, signature: Signature | None, message: str) -> None:
        assert signature is not None
        self._ledger.put(Entry(path, self._folder, signature, FileState.REFUSED, message))
        note_failure(path, message)
        self._follower.message = f"{path}: {message}"
        log.warning("%s", _text(f"{path}: {message}"))


def _text(name: str) -> str:
    return name.encode("utf-8", "replace").decode()

"""Observation: watchdog's events as hints that something in a folder may have changed."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from watchers.names import is_searched

#: Seconds between two looks of the polling observer at the whole folder.
POLL_S = 5.0
#: More hints than this say no more than "look at everything".
_MANY = 5_000
_JOIN_S = 2.0

_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileMovedEvent, FileDeletedEvent, FileClosedEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent),
]


class Hints:
    """Collects paths to look at from any thread. They may be wrong or missing: a search is the truth."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._search = True
        #: Set when there is something to take.
        self.wake = threading.Event()

    def add(self, path: str) -> None:
        """Something happened to the file at `path`."""
        with self._lock:
            if not self._search:
                self._paths.add(path)
                if len(self._paths) > _MANY:
                    self._search, self._paths = True, set()
        self.wake.set()

    def search(self, wake: bool = True) -> None:
        """Something happened that concerns the whole folder."""
        with self._lock:
            self._search, self._paths = True, set()
        if wake:
            self.wake.set()

    def take(self) -> tuple[set[str], bool]:
        """Paths to look at, and whether to look at the whole folder instead; then there are none again."""
        with self._lock:
            taken = self._paths, self._search
            self._paths, self._search = set(), False
        return taken


class Observation:
    """Feeds `hints` with what happens in `folder` until it is stopped. Raises OSError where it can't."""

    def __init__(self, folder: Path, recursive: bool, polled: bool, hints: Hints) -> None:
        events = list(_EVENTS)
        if polled or sys.platform != "linux":  # elsewhere no event says that a writer closed the file
            events.append(FileModifiedEvent)
        self._observer: BaseObserver = PollingObserver(timeout=POLL_S) if polled else Observer()
        real = os.path.realpath(folder)  # the kernel would watch a link, not the folder that it names
        handler = _Handler(str(folder), real, recursive, hints)
        try:
            self._observer.schedule(handler, real, recursive=recursive, event_filter=events)
            self._observer.start()
        except RuntimeError as error:  # no more threads
            raise OSError(str(error)) from error

    @property
    def alive(self) -> bool:
        """False once it fell silent: a polling observer does when the folder was away for a moment."""
        return self._observer.is_alive() and all(
            emitter.is_alive() for emitter in list(self._observer.emitters)
        )

    def stop(self) -> None:
        """Stop; a thread that hangs on a lost share is left to itself."""
        self._observer.stop()
        self._observer.join(_JOIN_S)


class _Handler(FileSystemEventHandler):
    def __init__(self, folder: str, real: str, recursive: bool, hints: Hints) -> None:
        self._folder = folder
        self._real = real
        self._recursive = recursive
        self._hints = hints

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Turn an event into hints."""
        for path in (event.src_path, event.dest_path):
            if not path:
                continue
            below = os.path.relpath(os.fsdecode(path), self._real)
            if not event.is_directory:
                self._hints.add(os.path.join(self._folder, below))
            elif self._recursive and all(is_searched(name) for name in Path(below).parts):
                self._hints.search()

"""Attachment: keeps an observer on a folder for as long as the folder is there."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Protocol

from watchers.file_systems import needs_polling
from watchers.observation import Hints, Observation
from watchers.settings import WatchSettings

log = logging.getLogger(__name__)


class Observed(Protocol):
    """What `Observation` is to this module."""

    @property
    def alive(self) -> bool:
        """Whether hints still come."""
        ...

    def stop(self) -> None:
        """Stop giving hints."""
        ...


#: Folder, recursive, polled, where to put the hints. Raises OSError.
Observe = Callable[[Path, bool, bool, Hints], Observed]


class Place(Enum):
    """What `Attachment.check` found."""

    MISSING = "missing"
    #: It is there for the first time, again, or it is another one: what was known of its files is void.
    NEW = "new"
    SAME = "same"


class Attachment:
    """To one folder, which may be on a disk that is unplugged or a share that is lost."""

    def __init__(self, settings: WatchSettings, hints: Hints, observe: Observe = Observation) -> None:
        self._settings = settings
        self._hints = hints
        self._observe = observe
        self._observed: Observed | None = None
        #: Device and inode: when a disk is unplugged, an empty folder may be left in its place.
        self._identity: tuple[int, int] | None = None
        self._reported = False
        #: Why the folder is missing.
        self.trouble = ""
        #: Whether the observer polls.
        self.polled = False

    @property
    def observed(self) -> bool:
        """Whether hints can be expected."""
        return self._observed is not None

    def check(self) -> Place:
        """Whether the folder is there; observes it then, and asks for a search where events may be lost."""
        try:
            found = os.stat(self._settings.folder)
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError
        except OSError as error:
            self._lose(error)
            return Place.MISSING
        place = Place.SAME
        if self._identity != (found.st_dev, found.st_ino):
            if self._reported:
                log.info("%s is there again.", self._settings.folder)
            self._identity, self._reported, self.trouble = (found.st_dev, found.st_ino), False, ""
            self.release()
            place = Place.NEW
        if self._observed is None or not self._observed.alive:
            self.release()
            self._attach(quiet=place is Place.SAME)
        return place

    def release(self) -> None:
        """Stop observing."""
        if self._observed is not None:
            self._observed.stop()
            self._observed = None

    def _attach(self, quiet: bool) -> None:
        poll = self._settings.poll
        self.polled = poll == "always" or (poll == "auto" and needs_polling(self._settings.folder))
        for polled in dict.fromkeys((self.polled, True)):  # without inotify's watches left, poll
            try:
                self._observed = self._observe(
                    self._settings.folder, self._settings.recursive, polled, self._hints
                )
            except OSError as error:
                log.log(
                    logging.DEBUG if quiet else logging.WARNING,
                    "%s can't be observed%s: %s",
                    *(self._settings.folder, " by polling" if polled else "", error),
                )
            else:
                self.polled = polled
                self._hints.search()
                return

    def _lose(self, error: OSError) -> None:
        absent = isinstance(error, (FileNotFoundError, NotADirectoryError))
        reason = "It is not there" if absent else f"It can't be reached ({error.strerror or error})"
        self.trouble = f"{reason}; it is waited for."
        if not self._reported:
            log.warning("%s: %s", self._settings.folder, self.trouble)
            self._reported = True
        self._identity = None
        self.release()

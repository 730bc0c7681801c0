"""SpoolScan: notices new job folders at next to no cost, however many old ones lie beside them."""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from pathlib import Path

from engine.queue.records import JOB_ID_PATTERN
from engine.spool.private_files import is_own_folder

#: A folder made within the same tick of the file system's clock as a look leaves no trace in the time stamp:
#: looks go on for longer than a tick after a change. Most clocks' is some ms; FAT's, the coarsest, 2 s.
_FINE_TICK_S, _COARSE_TICK_S = 0.05, 2.5
#: A folder that was removed and made again under the same name shows in its own time stamp only.
_DEEP_EVERY_S = 60.0
#: Folders of jobs that ended longer ago than this are removed.
KEEP_ENDED_S = 30 * 86_400.0

_log = logging.getLogger(__name__)


class SpoolScan:
    """Remembers every folder of the spool and names those that it has not seen yet.

    While nothing changes, a look costs one `stat`: a new folder changes the time stamp of the spool.
    Folders whose job ended are given to `ended`, and named again if they change after that.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._seen: set[str] = set()
        #: The folder's time stamp when its job's end was noted.
        self._ended: dict[str, int] = {}
        self._refused: set[str] = set()
        self._stamp = -1
        self._changed_at = self._looked_at = 0.0
        self._deep_at = time.monotonic()

    def fresh(self) -> list[str]:
        """Names of folders that were not seen before, newest name first. Raises OSError."""
        now = time.monotonic()
        deep = now - self._deep_at > _DEEP_EVERY_S
        stamp = self._spool.stat().st_mtime_ns
        if stamp != self._stamp:
            self._stamp, self._changed_at = stamp, now
        tick = _FINE_TICK_S if stamp % 1_000_000 else _COARSE_TICK_S
        if self._looked_at - self._changed_at > tick and not deep:
            return []
        self._looked_at = now
        if deep:
            self._deep_at = now
        return self._look(deep)

    def ended(self, name: str) -> None:
        """The folder needs no more attention until it changes."""
        try:
            self._ended[name] = (self._spool / name).lstat().st_mtime_ns
        except OSError:
            self.forget(name)

    def forget(self, name: str) -> None:
        """The folder is gone; one by the same name would be new."""
        self._seen.discard(name)
        self._ended.pop(name, None)

    def _look(self, deep: bool) -> list[str]:
        fresh, there = [], set()
        with os.scandir(self._spool) as entries:
            for entry in entries:
                there.add(entry.name)
                if entry.name not in self._seen:
                    if self._is_job(entry):
                        fresh.append(entry.name)
                elif deep and entry.name in self._ended and self._changed(entry):
                    fresh.append(entry.name)
        for name in self._seen - there:
            self.forget(name)
        self._seen.update(fresh)
        self._refused &= there
        return sorted(fresh, reverse=True)

    def _changed(self, entry: os.DirEntry[str]) -> bool:
        """Whether an ended folder changed since; one that is old is removed."""
        try:
            stamp = entry.stat(follow_symlinks=False).st_mtime_ns
        except OSError:
            return False
        if stamp != self._ended[entry.name]:
            del self._ended[entry.name]
            return True
        if time.time() - stamp / 1e9 > KEEP_ENDED_S:
            shutil.rmtree(entry.path, ignore_errors=True)
        return False

    def _is_job(self, entry: os.DirEntry[str]) -> bool:
        """Whether the entry may hold a job; one that must not is named in the log, once."""
        if entry.name.startswith(".") or entry.name in self._refused:
            return False  # a client may prepare a folder under a hidden name and rename it
        try:
            if not is_own_folder(entry.stat(follow_symlinks=False)):
                reason = "it is not a folder of your own"
            elif not re.fullmatch(JOB_ID_PATTERN, entry.name):
                reason = "its name can't be a job's id"
            else:
                return True
        except OSError:
            return False
        self._refused.add(entry.name)
        _log.warning("%s is not taken as a job: %s", ascii(str(self._spool / entry.name)), reason)
        return False

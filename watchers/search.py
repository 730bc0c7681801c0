"""Search: the files that a watched folder offers, found by walking it or told by their paths."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from watchers.names import is_recording, is_searched
from watchers.settings import DONE, WatchSettings


class Search:
    """What is taken from one folder.

    Links are never followed, neither to files nor to folders: one that points out of the folder could name
    any file, and what one within it points to is found by itself. The folder itself may be a link.
    Results, hidden and temporary folders, `done`, the output folder, and folders that are watched with
    settings of their own (`others`) are passed over.
    """

    def __init__(self, settings: WatchSettings, others: Collection[Path] = ()) -> None:
        self._settings = settings
        self._top = str(settings.folder)
        skipped = {settings.folder / DONE, *others}
        if settings.out is not None:
            skipped.add(settings.out)
        self._skipped = {str(path) for path in skipped} - {self._top}

    def files(self) -> Iterator[str]:
        """All paths, in no particular order. Raises OSError where the folder itself can't be read."""
        folders = [self._top]
        while folders:
            folder = folders.pop()
            try:
                listing = os.scandir(folder)
            except OSError:
                if folder == self._top:
                    raise
                continue
            with listing:
                for entry in listing:
                    if entry.is_dir(follow_symlinks=False):
                        if self._settings.recursive and self._enters(entry.name, entry.path):
                            folders.append(entry.path)
                    elif self._takes_name(entry.name) and entry.is_file(follow_symlinks=False):
                        yield entry.path

    def takes(self, path: str) -> bool:
        """Whether `files` would yield `path` if there is a plain file."""
        folder, name = os.path.split(path)
        if not self._takes_name(name):
            return False
        if folder == self._top:
            return True
        if not self._settings.recursive:
            return False
        while folder != self._top:
            above, name = os.path.split(folder)
            if above == folder or os.path.islink(folder) or not self._enters(name, folder):
                return False
            folder = above
        return True

    def _takes_name(self, name: str) -> bool:
        return is_recording(name, self._settings.patterns)

    def _enters(self, name: str, path: str) -> bool:
        return is_searched(name) and path not in self._skipped

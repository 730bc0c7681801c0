"""Transaction: several files change together, or stay as they were."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from engine.errors import OutputError

#: What a process that was killed may leave behind ends so.
TEMPORARY_SUFFIX = ".stemfix-tmp"


class Transaction:
    """Files to write, to remove and folders to remove when empty, done in the order they were named.

    Everything is first written beside its place, so that a full disk or a folder that can't be written shows
    before anything changes; each file then appears by one rename. If one of these steps fails, the steps
    before it are taken back. A process that is killed in between leaves whole files: name the file that makes
    the others count last. Only one process at a time may change a file.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[Path, bytes | None]] = []
        self._folders: list[Path] = []

    def write(self, path: Path, data: bytes) -> None:
        """`path` will hold `data`; a link there stays, and the file it leads to is written."""
        self._steps.append((Path(os.path.realpath(path)), data))

    def remove(self, path: Path) -> None:
        """`path` will be gone."""
        self._steps.append((path, None))

    def remove_folder_if_empty(self, path: Path) -> None:
        """`path` will be gone if nothing is in it then."""
        self._folders.append(path)

    @property
    def changes(self) -> int:
        """How many of the files will change."""
        return len(self._changes())

    def commit(self) -> None:
        """Do it. Raises OutputError, and then nothing has changed."""
        steps = self._changes()
        staged: dict[Path, Path] = {}
        made: list[Path] = []
        done: list[tuple[Path, bytes | None, int | None]] = []
        path = Path()
        try:
            for path, data in steps:
                if data is not None:
                    _make_folder(path.parent, made)
                    staged[path] = _stage(path, data, _mode(path))
            for path, data in steps:
                before = (path, content(path), _mode(path))
                if data is None:
                    path.unlink()
                else:
                    os.replace(staged[path], path)
                done.append(before)
        except BaseException as error:
            _take_back(done, staged, made)
            if not isinstance(error, OSError):
                raise
            raise OutputError(
                f"{path} can't be changed: {error.strerror or error}. Nothing was changed.",
                "Allow writing there and make room, then try again.",
            ) from error
        for path, _ in self._steps:
            with suppress(OSError):
                _temporary(path).unlink(missing_ok=True)
        for folder in self._folders:
            with suppress(OSError):
                folder.rmdir()

    def _changes(self) -> list[tuple[Path, bytes | None]]:
        return [(path, data) for path, data in self._steps if data != content(path)]


def content(path: Path) -> bytes | None:
    """The bytes of a file, None if there is none. Raises OutputError."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(
            f"{path} can't be read: {error.strerror or error}.", "Allow reading it, then try again."
        ) from error


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make `folder` and those above it, and add what was made to `made`, outermost first."""
    for place in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
        place.mkdir()
        made.append(place)


def _mode(path: Path) -> int | None:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


def _temporary(path: Path) -> Path:
    """Always the same for a path, so that the next run finds what a killed one left."""
    return path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")


def _stage(path: Path, data: bytes, mode: int | None) -> Path:
    temporary = _temporary(path)
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            temporary.chmod(mode)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _take_back(
    done: list[tuple[Path, bytes | None, int | None]], staged: dict[Path, Path], made: list[Path]
) -> None:
    for path, before, mode in reversed(done):
        with suppress(OSError):
            if before is None:
                path.unlink(missing_ok=True)
            else:
                os.replace(_stage(path, before, mode), path)
    for temporary in staged.values():
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    for folder in reversed(made):
        with suppress(OSError):
            folder.rmdir()

"""Workspace: the private folder in which a job works, published by one rename or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from engine.errors import InputError, OutputError
from engine.files import output_errors

SUFFIX = ".stemfix"
_PARTIAL = ".stemfix.partial-"
_JOB = ".stemfix.job-"
_LOCK = "lock"
#: File names end at 255 bytes on every common file system; `-vocals.wav` and the like must still fit.
_NAME_BYTES = 180


def job_name(source: Path) -> str:
    """The name that a source's results carry: its own without the extension, shortened where it must be.

    Raises InputError for a path of bytes that are no text: neither JSON nor a WAV file could name it.
    """
    try:
        str(source).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"The name of {str(source)!a} is not UTF-8.", "Rename the file, or the folder that it is in."
        ) from None
    return source.stem.encode()[:_NAME_BYTES].decode(errors="ignore")


def result_folders(out_dir: Path, name: str) -> list[Path]:
    """The result folders of `name` in `out_dir`: `name.stemfix`, `name-2.stemfix` and so on."""
    found = []
    with output_errors(out_dir):
        for folder in sorted(out_dir.iterdir()) if out_dir.is_dir() else []:
            number = folder.name.removesuffix(SUFFIX).removeprefix(name)
            ours = number == "" or (number.startswith("-") and number[1:].isdigit())
            if ours and folder.name.startswith(name) and folder.name.endswith(SUFFIX) and folder.is_dir():
                found.append(folder)
    return found


def discard_job_folder(out_dir: Path, source: Path, token: str) -> None:
    """Remove the lasting work folder of a job that has ended, if there is one."""
    with suppress(InputError, OSError):
        folder = _job_folder(out_dir, job_name(source), token)
        if not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


class Workspace:
    """A hidden folder in `out_dir` that is gone after the `with` block.

    With a `token` it lasts instead: it is there again for the next workspace with that token, in this process
    or another, until `discard` is called. That is how a queued job survives its process. A temporary folder
    that a killed process left behind is swept away by the next job in the same place; a lasting one never is.

    Raises OutputError where the folder can't be made or `bytes_needed` are not free.
    """

    def __init__(self, out_dir: Path, name: str, bytes_needed: int = 0, token: str | None = None) -> None:
        self._out_dir = out_dir
        self._name = name
        self._bytes_needed = bytes_needed
        self._token = token
        #: Deepest first.
        self._made: list[Path] = []

    def __enter__(self) -> Workspace:
        try:
            with output_errors(self._out_dir):
                self._made = [
                    folder for folder in (self._out_dir, *self._out_dir.parents) if not folder.exists()
                ]
                self._out_dir.mkdir(parents=True, exist_ok=True)
                self._sweep()
                self._check_space()
                self._claim()
        except BaseException:
            self._unmake_out_dir()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        if self._token is None:
            self.discard()
        if isinstance(error, OSError):
            with output_errors(self._out_dir):
                raise error

    @property
    def results(self) -> Path:
        """The folder that `publish` renames into place."""
        return self._folder / "results"

    def path(self, *parts: str) -> Path:
        """A path in the work folder."""
        return self._folder.joinpath(*parts)

    def fresh_file(self, name: str) -> Path:
        """A path in the work folder at which there is nothing."""
        path = self.path(name)
        path.unlink(missing_ok=True)
        return path

    def fresh_folder(self, name: str) -> Path:
        """An empty folder in the work folder."""
        folder = self.path(name)
        with output_errors(folder):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
        return folder

    def discard(self) -> None:
        """Remove the work folder, and the output folder too if it was made for this job and is empty."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._unmake_out_dir()

    def publish(self) -> Path:
        """Rename the results into place under the first free name and return their folder."""
        with output_errors(self._out_dir):
            _sync(self.results)
            number = 1
            while True:
                ending = "" if number == 1 else f"-{number}"
                target = self._out_dir / f"{self._name}{ending}{SUFFIX}"
                number += 1
                if os.path.lexists(target):
                    continue
                try:
                    # A folder that another job put there since is never replaced: rename fails on it.
                    self.results.rename(target)
                except OSError:
                    if os.path.lexists(target):
                        continue
                    raise
                _sync(self._out_dir)
                return target

    def _unmake_out_dir(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return  # it holds something by now, so it stays

    def _claim(self) -> None:
        """Make the folder, private to the user, and hold its lock; once more if a sweep came in between."""
        while True:
            if self._token is None:
                self._folder = Path(tempfile.mkdtemp(prefix=f".{self._name}{_PARTIAL}", dir=self._out_dir))
            else:
                self._folder = _job_folder(self._out_dir, self._name, self._token)
                self._folder.mkdir(mode=0o700, exist_ok=True)
                _refuse_link(self._folder)
            self._lock = FileLock(self._folder / _LOCK)
            try:
                self._lock.acquire()
            except FileNotFoundError:
                continue
            if (self._folder / _LOCK).exists():
                return
            self._lock.release()

    def _sweep(self) -> None:
        """Remove the temporary folders of jobs that were killed: those whose lock nobody holds."""
        for folder in self._out_dir.iterdir():
            if not (folder.name.startswith(".") and _PARTIAL in folder.name and (folder / _LOCK).exists()):
                continue
            try:
                with FileLock(folder / _LOCK, timeout=0):
                    # Under the lock: a job that waits for it finds its folder gone and makes another.
                    shutil.rmtree(folder, ignore_errors=True)
            except (Timeout, OSError):
                continue  # another job is at work in it
            if os.name == "nt":
                shutil.rmtree(folder, ignore_errors=True)  # an open file can't be removed there

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._out_dir).free
        if free < self._bytes_needed:
            raise OutputError(
                f"{self._out_dir} has {free / 1e9:.1f} GB free, and this job needs "
                f"{self._bytes_needed / 1e9:.1f} GB.",
                "Free some space or choose another folder with --out.",
            )


def _job_folder(out_dir: Path, name: str, token: str) -> Path:
    return out_dir / f".{name}{_JOB}{token}"


def _refuse_link(folder: Path) -> None:
    """Whoever may write in the output folder could have put a link there that leads out of it."""
    if folder.is_symlink():
        raise OutputError(f"{folder} is a link.", "Remove it; a job works in a folder of its own there.")


def _sync(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system can (Windows can't)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

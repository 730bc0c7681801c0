"""Private files: folders and files that only the user can read, never reached through a link."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from engine.errors import InputError, OutputError
from engine.files import output_errors
from engine.paths import data_dir

#: What Windows does not have is 0 there.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class RefusedFileError(InputError):
    """A file or folder that is a link, belongs to somebody else, or is too large."""


def private_folder(path: Path) -> Path:
    """Make `path` a folder with mode 0700, tightening one that is there.

    Raises OutputError where it can't be made, is a link, or belongs to somebody else.
    """
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        if not is_own_folder(found):
            raise OutputError(
                f"{path} is not a folder of your own: it is a link, a file, or belongs to somebody else.",
                "Move it away.",
            )
        if os.name != "nt" and stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)
    return path


def ready_data_dir() -> Path:
    """The data folder, made with mode 0700 if there is none; the user's own keeps its mode.

    Raises OutputError.
    """
    folder = data_dir()
    return folder if folder.is_dir() else private_folder(folder)


def is_own_folder(found: os.stat_result) -> bool:
    """Whether an `lstat` shows a real folder of this user."""
    return stat.S_ISDIR(found.st_mode) and _is_own(found)


def read_private(path: Path, limit: int) -> bytes:
    """The bytes of a file of at most `limit` bytes.

    Raises FileNotFoundError, other OSErrors, and RefusedFileError for anything but a plain file of this user.
    """
    if path.is_symlink():  # where the system has no O_NOFOLLOW
        raise RefusedFileError(f"{path.name} is a link.", "Write a plain file.")
    handle = os.open(path, os.O_RDONLY | _NO_FOLLOW)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or not _is_own(found):
        os.close(handle)
        raise RefusedFileError(f"{path.name} is not a plain file of your own.", "Write a plain file.")
    with open(handle, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise RefusedFileError(f"{path.name} is larger than {limit:,} bytes.", "Write a smaller file.")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Put a file with mode 0600 at `path` by one rename. A link there is replaced, not followed.

    Only one process writes to a path: what it left behind when it was killed goes with the next write.
    Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
    try:
        handle = os.open(temporary, flags, 0o600)
    except FileExistsError:
        temporary.unlink()
        handle = os.open(temporary, flags, 0o600)
    try:
        with open(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _is_own(found: os.stat_result) -> bool:
    return os.name == "nt" or found.st_uid == os.geteuid()

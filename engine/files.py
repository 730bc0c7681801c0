"""Output files: created exclusively, flushed to the disk, published whole, every refusal an OutputError."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from engine.errors import OutputError

_REASONS = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose another output folder, then run it again."),
    errno.EACCES: ("there is no permission", "Allow writing to that folder or choose another output folder."),
    errno.EROFS: ("the disk is read-only", "Choose another output folder."),
    errno.ENOENT: (
        "its folder does not exist",
        "Create the folder, or reconnect the disk that held it, then run it again.",
    ),
    errno.EEXIST: ("it exists and is never overwritten", "Move it away or choose another output folder."),
    errno.ENAMETOOLONG: ("its name is too long for the file system", "Choose a shorter name or folder."),
    errno.EFBIG: (
        "the file would be larger than the file system allows",
        "Choose an output folder on another disk, or a shorter range.",
    ),
    errno.EIO: ("the disk reports an input/output error", "Check the disk or choose another output folder."),
}
#: What linking says on a file system without hard links, such as FAT.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
_SAME = {
    errno.EPERM: errno.EACCES,
    errno.ENOTDIR: errno.ENOENT,
    getattr(errno, "EDQUOT", errno.ENOSPC): errno.ENOSPC,
    getattr(errno, "ESTALE", errno.ENOENT): errno.ENOENT,
}


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Inside this block an OSError becomes an OutputError that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        reason, remedy = _REASONS.get(
            _SAME.get(number, number),
            (error.strerror or str(error), "Choose another output folder, then run it again."),
        )
        raise OutputError(f"{path} can't be written: {reason}.", remedy) from error


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that did not exist before, open for binary writing.

    It is flushed to the disk at the end, and removed again if anything fails on the way.
    Raises OutputError, also for an OSError inside the block.
    """
    with output_errors(path), open(path, "xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def publish_file(source: Path, target: Path) -> None:
    """Rename a whole and flushed file to `target` on the same disk; what is there is never replaced.

    Raises OutputError, also where `target` exists; `source` stays then.
    """
    with output_errors(target):
        if os.name == "nt":
            os.rename(source, target)  # refuses an existing target there, and replaces it elsewhere
        else:
            try:
                os.link(source, target)
                os.unlink(source)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                target.open("xb").close()
                os.replace(source, target)
        sync_folder(target.parent)


def sync_folder(path: Path) -> None:
    """Force a folder's entries to the disk, where the system can (Windows can't)."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's bytes in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()

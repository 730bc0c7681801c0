"""Files that must be whole or absent: hashing, and writing so that a crash leaves no half file."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_BLOCK = 1 << 20


def file_sha256(path: Path, cancel: Callable[[], None] | None = None) -> str:
    """SHA-256 of a file in hex; `cancel` is called once per MiB and may raise."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            if cancel is not None:
                cancel()
            digest.update(block)
    return digest.hexdigest()


def sync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    # Windows refuses to flush a file that is open for reading only.
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Force a folder's entries to the disk, where the system can (Windows can't)."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` by temporary file, fsync and rename: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)

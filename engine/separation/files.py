"""Replacing a file so that readers see the old one or the new one, and a crash leaves no half one."""

from __future__ import annotations

import os
from pathlib import Path

from engine.files import sync_folder

__all__ = ["sync_file", "sync_folder", "write_whole"]


def sync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    # Windows refuses to flush a file that is open for reading only.
    with open(path, "r+b") as file:
        os.fsync(file.fileno())


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

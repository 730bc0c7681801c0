"""OnlyUp: one `stemfix up` per data folder, and whether one runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from engine.errors import StemfixError
from engine.paths import data_dir
from engine.spool.private_files import ready_data_dir

#: Longer than `is_up` holds the lock to see whether it is free.
_PATIENCE_S = 1.0


@contextmanager
def only_up() -> Iterator[None]:
    """Hold the lock within the block. Raises StemfixError where another process has it."""
    folder = ready_data_dir()
    lock = FileLock(folder / "up.lock", mode=0o600)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        raise StemfixError(
            f"Another 'stemfix up' runs on {folder}.",
            "Use that one; 'stemfix service status' tells whether it is the service.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_up() -> bool:
    """True if a `stemfix up` runs on this data folder."""
    if not (data_dir() / "up.lock").exists():
        return False
    lock = FileLock(data_dir() / "up.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False

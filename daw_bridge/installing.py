"""one_at_a_time: only one process installs into a DAW, or takes out of one, at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import StemfixError
from engine.spool.private_files import ready_data_dir


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock within the block. Raises StemfixError where another process keeps it."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(ready_data_dir() / "daw.lock", timeout=10):
            yield
    except Timeout as error:
        raise StemfixError(
            "Another installation into a DAW is going on.", "Wait for its end, then try again."
        ) from error

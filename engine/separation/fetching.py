"""What every source of weights shares: how it reports, is stopped, copies a file, and names what it found."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Errors of the own disk, which no other source would mend.
DISK_ERRORS = (
    errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EIO,
)


@dataclass(frozen=True)
class Hooks:
    """How a pull tells what it does; `cancel` raises `Cancelled` to stop it."""

    note: Callable[[str], None]
    #: (bytes done, bytes in all)
    progress: Callable[[int, int], None]
    cancel: Callable[[], None]


@dataclass(frozen=True)
class Fetched:
    """A member's checkpoint, whole and checked, in the pull's work folder."""

    path: Path
    #: Where it came from, for the manifest.
    source: str


class Unavailable(Exception):
    """This source can't give the model; the text says why, as a clause without a full stop."""


def copy_file(source: Path, into: Path, hooks: Hooks) -> None:
    """Copy `source` to `into` (replaced if there), in blocks, so that a cancel is noticed."""
    total, done = source.stat().st_size, 0
    with open(source, "rb") as reader, open(into, "wb") as writer:
        while block := reader.read(4 << 20):
            hooks.cancel()
            writer.write(block)
            done += len(block)
            hooks.progress(done, total)

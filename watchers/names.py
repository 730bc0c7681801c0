"""Which files a watched folder offers, judged by their names alone."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import PurePath

from engine.audio.extensions import AUDIO_EXTENSIONS

#: Beside a source that failed, and beside one whose content had been done under another name.
FAILED_NOTE = ".stemfix-failed.txt"
SAME_NOTE = ".stemfix-same.txt"

_RESULTS = ".stemfix"
#: Endings of files that browsers, copying programs and editors have not finished.
_TEMPORARY_ENDINGS = (
    "~",
    ".part",
    ".partial",
    ".filepart",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
    ".opdownload",
    ".aria2",
    ".swp",
    ".bak",
    ".!ut",
    ".!qb",
    ".dropbox-tmp",
    ".tmp.drivedownload",
    ".tmp.driveupload",
    ".icloud",
)
#: The same marks before the extension: `song.tmp.wav`. Not `.part`, which may be a part of a suite.
_TEMPORARY_MIDDLES = (".tmp", ".temp", ".partial", ".crdownload")
#: What macOS saves into before it swaps.
_MACOS_SAVE = re.compile(r"\.sb-[0-9a-f]{8}-")


def is_result(folder: str) -> bool:
    """Whether a folder of this name holds stemfix's results."""
    return folder.lower().endswith(_RESULTS)


def is_temporary(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or unfinished.

    Dot-files are the work of rsync, Syncthing, Nextcloud, GNOME and editors; `~` begins Office's locks and
    older Syncthing's files; `#song#` is Emacs's.
    """
    lower = name.lower()
    return (
        lower.startswith((".", "~"))
        or lower.endswith(_TEMPORARY_ENDINGS)
        or (lower.startswith("#") and lower.endswith("#"))
        or PurePath(lower).stem.endswith(_TEMPORARY_MIDDLES)
        or _MACOS_SAVE.search(lower) is not None
    )


def is_recording(name: str, patterns: tuple[str, ...] | None = None) -> bool:
    """Whether a file of this name is to be taken: by `patterns`, or by its extension where there are none."""
    if is_temporary(name) or name.endswith((FAILED_NOTE, SAME_NOTE)):
        return False
    lower = name.lower()
    if patterns is None:
        return PurePath(lower).suffix in AUDIO_EXTENSIONS
    return any(fnmatchcase(lower, pattern.lower()) for pattern in patterns)


def is_searched(folder: str) -> bool:
    """Whether a folder of this name below a watched one is searched."""
    return not is_result(folder) and not is_temporary(folder)

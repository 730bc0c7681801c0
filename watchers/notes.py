"""Notes: small text files beside a source that say why there are no results of it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from watchers.names import FAILED_NOTE, SAME_NOTE


def note_failure(path: str, reason: str, job_id: str = "") -> bool:
    """Say beside the file at `path` why it failed; False where nothing can be written there."""
    retry = f", or run: stemfix jobs retry {job_id}" if job_id else ""
    return _write(
        path + FAILED_NOTE,
        f"stemfix has not done {os.path.basename(path)}:\n\n{reason}\n\n"
        f"It is tried again when the file changes{retry}.\nThen this note goes away by itself.\n",
    )


def note_same(path: str, original: str, results: str) -> bool:
    """Say beside the file at `path` where the results of the same content are."""
    return _write(
        path + SAME_NOTE,
        f"{os.path.basename(path)} has the same content as {original},\nso it was not done again. "
        f"The results are in:\n\n{results}\n",
    )


def remove_notes(path: str) -> None:
    """Remove what was said about the file at `path`."""
    for ending in (FAILED_NOTE, SAME_NOTE):
        with suppress(OSError):
            os.unlink(path + ending)


def _write(path: str, text: str) -> bool:
    note = Path(path)
    temporary = note.with_name(f".{note.name}.tmp")
    try:
        temporary.write_bytes(text.encode("utf-8", "replace"))
        os.replace(temporary, note)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        return False
    return True

"""The page's file: written whole, recognised again, and put in place of an older one by a rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine.errors import OutputError
from engine.files import sync_folder
from engine.report.page_model import Page
from engine.report.template import MARK, page_parts

PAGE_FILE = "comparison.html"
#: Beside the page, where there is audio in full quality.
AUDIO_FOLDER = "comparison-audio"


def write_page(page: Page, embedded: Sequence[Path], path: Path) -> Path:
    """Write the whole page to `path`, flushed to the disk; `embedded` are files of its audio, as elements."""
    before, after = page_parts(page)
    with open(path, "wb") as file:
        file.write(before.encode())
        for part in embedded:
            with open(part, "rb") as audio:
                shutil.copyfileobj(audio, file)
        file.write(after.encode())
        file.flush()
        os.fsync(file.fileno())
    return path


def refuse_foreign(target: Path) -> None:
    """Raise OutputError if there is a file at `target` that stemfix did not make."""
    if not os.path.lexists(target):
        return
    with suppress(OSError), open(target, "rb") as file:
        if MARK in file.read(1 << 16):
            return
    raise OutputError(
        f"{target} is there and was not made by stemfix, so it is not replaced.", "Move it away."
    )


def publish_page(page: Path, audio: Path | None, target: Path) -> None:
    """The audio first: a page that is there has all that it names."""
    beside = target.parent / AUDIO_FOLDER
    if audio is not None:
        if beside.exists():
            beside.rename(page.parent / "old-audio")
        audio.rename(beside)
    os.replace(page, target)
    sync_folder(target.parent)

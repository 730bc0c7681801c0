"""open_folder and open_file: show something on the desktop, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = "comparison.html"


def open_folder(folder: Path) -> str:
    """Open `folder` in the file manager and return one line to tell the user; over ssh, where it lies."""
    if not folder.is_dir():
        return f"There is no folder {folder} yet."
    return f"Opened {folder}" if _open(folder) else f"The folder is {folder}"


def open_file(file: Path) -> str:
    """Open `file` with the desktop's program for it and return one line to tell the user."""
    if not file.is_file():
        return f"There is no file {file} yet."
    return f"Opened {file}" if _open(file) else f"The file is {file}"


def open_page(folder: Path) -> str:
    """Open a result's comparison page; one that is missing is made first, by a process of its own."""
    if not folder.is_dir():
        return f"There is no folder {folder} yet."
    if (folder / PAGE).is_file():
        return open_file(folder / PAGE)
    subprocess.Popen(
        [sys.executable, "-m", "stemfix", "report", "--quiet", "--open", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return f"Making {folder / PAGE}; it opens in a moment."


def _open(path: Path) -> bool:
    """False where there is no desktop, or no program to ask."""
    if sys.platform == "win32":
        os.startfile(path)
        return True
    command = "open" if sys.platform == "darwin" else "xdg-open"
    # Without a desktop xdg-open would start a text browser on this very terminal.
    wanted = ("DISPLAY", "WAYLAND_DISPLAY") if sys.platform != "darwin" else ()
    desktop = not wanted or any(os.environ.get(name) for name in wanted)
    program = shutil.which(command)
    if not desktop or program is None:
        return False
    subprocess.Popen(
        [program, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True

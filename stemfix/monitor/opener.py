"""open_folder: show a folder in the desktop's file manager, where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def open_folder(folder: Path) -> str:
    """Open `folder` and return one line to tell the user; over ssh that is where it lies."""
    if not folder.is_dir():
        return f"There is no folder {folder} yet."
    if sys.platform == "win32":
        os.startfile(folder)
        return f"Opened {folder}"
    command = "open" if sys.platform == "darwin" else "xdg-open"
    # Without a desktop xdg-open would start a text browser on this very terminal.
    wanted = ("DISPLAY", "WAYLAND_DISPLAY") if sys.platform != "darwin" else ()
    desktop = not wanted or any(os.environ.get(name) for name in wanted)
    program = shutil.which(command)
    if not desktop or program is None:
        return f"The folder is {folder}"
    subprocess.Popen(
        [program, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return f"Opened {folder}"

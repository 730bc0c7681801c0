"""Whether a REAPER is running, which would overwrite its settings as it closes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

#: `reaper`, `reaper.exe`, `REAPER`, `reaper5` (its old name on Linux), but not its `reaper_host`s.
_PROGRAM = re.compile(r"reaper(?:\d+(?:\.\d+)*)?(?:[-_](?:arm|x64|arch|32|64)\w*)?(?:\.exe)?", re.IGNORECASE)


def running_reapers(processes: Iterable[Any] | None = None) -> list[int]:
    """The ids of this user's REAPER processes. `processes` are as from `psutil.process_iter`."""
    import psutil

    found = []
    for process in psutil.process_iter() if processes is None else processes:
        try:
            if not _is_own(process) or process.status() == psutil.STATUS_ZOMBIE:
                continue
            names = [process.name()]
            with suppress(psutil.AccessDenied):
                names.append(re.split(r"[/\\]", process.exe())[-1])
        except psutil.Error:  # it ended just now, or belongs to somebody else
            continue
        if any(_PROGRAM.fullmatch(name) for name in names):
            found.append(process.pid)
    return found


def _is_own(process: Any) -> bool:
    return not hasattr(os, "getuid") or bool(process.uids().real == os.getuid())

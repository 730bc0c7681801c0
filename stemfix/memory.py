"""memory_bytes: how much memory this machine has, and how much of it is free."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path


def memory_bytes() -> tuple[int | None, int | None]:
    """(all, available) in bytes; None for what the system does not tell."""
    if sys.platform == "win32":
        return _windows()
    total = None
    with suppress(ValueError, OSError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError):
        # Linux; "free" there would leave out what the disk cache gives back at once.
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
        if found:
            return total, int(found[1]) * 1024
    return total, None


def _windows() -> tuple[int | None, int | None]:
    import ctypes

    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("available", ctypes.c_ulonglong),
            ("rest", ctypes.c_ulonglong * 5),
        )

    status = Status(length=ctypes.sizeof(Status))
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    if not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None, None
    return int(status.total), int(status.available)

"""Whether a file's bytes are really there, and whether another program still writes to it."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from pathlib import Path

from watchers.file_systems import turns_zeros_into_holes

#: Offline, recall on open, recall on data access: a file that lies in OneDrive or another cloud.
_WINDOWS_ABSENT = 0x1000 | 0x40000 | 0x400000
#: SF_DATALESS: the same on macOS.
_MACOS_ABSENT = 0x40000000
_PAGE = 4096


def in_the_cloud(found: os.stat_result) -> bool:
    """Whether the file is a placeholder, whose content would be fetched when it is read."""
    return bool(
        getattr(found, "st_file_attributes", 0) & _WINDOWS_ABSENT
        or getattr(found, "st_flags", 0) & _MACOS_ABSENT
    )


def end_is_unwritten(path: Path, size: int) -> bool:
    """Whether the file has its full size but nothing was ever written to its end.

    Windows, over SMB too, gives a copy its size first and its bytes later. Raises OSError.
    """
    if not hasattr(os, "SEEK_DATA"):
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        os.lseek(handle, (size - 1) // _PAGE * _PAGE, os.SEEK_DATA)
    except OSError as error:
        return error.errno == errno.ENXIO and not turns_zeros_into_holes(path)
    finally:
        os.close(handle)
    return False


def is_being_written(path: Path) -> bool:
    """Whether another program has the file open for writing; False where the system can't tell."""
    if sys.platform == "linux":
        return _linux_writer(path)
    if sys.platform == "win32":
        return _windows_writer(path)
    return False


def _linux_writer(path: Path) -> bool:
    """Try to take a read lease, which the kernel refuses while anybody has the file open for writing."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        # Whoever opens the file in this instant breaks the lease; the default signal for that would end us.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # somebody else's file, or a file system without leases
    finally:
        os.close(handle)
    return False


def _windows_writer(path: Path) -> bool:
    """Try to open the file in a way that no writer beside us is allowed."""
    if sys.platform != "win32":
        return False
    import _winapi

    share_read, sharing_violation = 1, 32
    try:
        handle = _winapi.CreateFile(
            str(path), _winapi.GENERIC_READ, share_read, _winapi.NULL, _winapi.OPEN_EXISTING, 0, _winapi.NULL
        )
    except OSError as error:
        return error.winerror == sharing_violation
    _winapi.CloseHandle(handle)
    return False

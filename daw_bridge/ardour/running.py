"""Whether an Ardour is running that would overwrite a configuration folder, or answer to it."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daw_bridge.ardour.folders import ArdourFolder, config_base

#: `ardour-7.3.0~ds0`, `ardour`, `Ardour8`, `Ardour8.exe`, but not its helpers such as `ardour-vst-scanner`.
#: On Linux a running Ardour calls itself `ArdourGUI`, and only its file and its command tell the version.
_PROGRAM = re.compile(r"h?ardour(?:gui)?-?(?P<version>\d+)?(?:[.~_-]?\d.*)?(?:\.exe)?", re.IGNORECASE)


@dataclass(frozen=True)
class RunningArdour:
    """A process; what could not be found out is None."""

    pid: int
    version: int | None
    config_base: Path | None


def running_ardours(processes: Iterable[Any] | None = None) -> list[RunningArdour]:
    """The Ardour programs of this user. `processes` are as from `psutil.process_iter`."""
    import psutil

    found = []
    for process in psutil.process_iter() if processes is None else processes:
        try:
            if not _is_own(process) or process.status() == psutil.STATUS_ZOMBIE:
                continue
            matches = [match for name in _names(process) if (match := _PROGRAM.fullmatch(name))]
        except psutil.Error:  # it ended just now, or belongs to somebody else
            continue
        if matches:
            versions = [int(match["version"]) for match in matches if match["version"]]
            found.append(RunningArdour(process.pid, versions[0] if versions else None, _base(process)))
    return found


def users_of(folder: ArdourFolder, running: Iterable[RunningArdour]) -> list[RunningArdour]:
    """Those that have `folder` open, or may have."""
    base = os.path.realpath(folder.path.parent)
    return [
        ardour
        for ardour in running
        if ardour.version in (None, folder.version)
        and (ardour.config_base is None or os.path.realpath(ardour.config_base) == base)
    ]


def marked_as_open(folder: ArdourFolder) -> Path | None:
    """The file `osc_url` if an Ardour wrote its address there and something listens on it.

    Ardour empties nothing and removes the file when it quits; one that crashed leaves it, without a listener.
    It shows an Ardour whose process can't be seen from here, as in another container.
    """
    path = folder.path / "osc_url"
    try:
        match = re.search(r":(\d{2,5})/?\s*$", path.read_text("utf-8", "replace"))
    except OSError:
        return None
    return path if match and int(match[1]) < 65536 and _udp_port_is_taken(int(match[1])) else None


def _udp_port_is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _is_own(process: Any) -> bool:
    return not hasattr(os, "getuid") or bool(process.uids().real == os.getuid())


def _names(process: Any) -> list[str]:
    """What the process calls itself, and the names of its file and its command as far as they can be read."""
    import psutil

    names = [process.name()]
    with suppress(psutil.AccessDenied):
        names.append(re.split(r"[/\\]", process.exe())[-1])
    with suppress(psutil.AccessDenied):
        names += [re.split(r"[/\\]", word)[-1] for word in process.cmdline()[:1]]
    return names


def _base(process: Any) -> Path | None:
    import psutil

    try:
        environment: Mapping[str, str] = process.environ()
    except (psutil.Error, OSError, NotImplementedError):
        return None
    return config_base(environment) if environment else None

"""ensure_engine: a client that finds no engine starts one, detached, exactly once among all clients."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from engine.errors import StemfixError
from engine.paths import data_dir
from engine.service.log import last_line, log_path, start_log_path
from engine.spool.client import engine_alive, is_fresh
from engine.spool.models import EngineHeartbeat
from engine.spool.private_files import private_folder, ready_data_dir

_LOOK_EVERY_S = 0.1
#: What a DAW, or a bundle that it comes in, sets for itself: an engine that inherited it would load the DAW's
#: libraries or a foreign Python's modules.
_HOST_PATHS = (
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "DYLD_FRAMEWORK_PATH",
    "DYLD_INSERT_LIBRARIES",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONEXECUTABLE",
    "GTK_PATH",
    "VAMP_PATH",
)
#: Beginnings of variables that tell of a program that sets such paths: Ardour, an AppImage, a Snap.
_HOST_MARKS = ("ARDOUR_", "PREBUNDLE_ENV", "APPIMAGE", "SNAP_")


class NoEngineError(StemfixError):
    """No engine came up."""


def ensure_engine(timeout_s: float = 20.0) -> EngineHeartbeat:
    """The heartbeat of a ready engine, which is started in the background if there is none.

    However many processes call this at the same time, one engine is started.

    Raises NoEngineError where none is ready after `timeout_s`: what to do, and where the log is.
    """
    deadline = time.monotonic() + timeout_s
    if ready := _ready():
        return ready
    try:
        with FileLock(ready_data_dir() / "engine-start.lock", timeout=timeout_s, mode=0o600):
            return _start_and_wait(deadline)
    except Timeout:
        raise _failure("Another program has been starting the engine, and it is not ready.") from None


def _ready() -> EngineHeartbeat | None:
    beat = engine_alive()
    return beat if beat is not None and beat.state == "ready" and is_fresh(beat) else None


def _start() -> subprocess.Popen[bytes]:
    """Start an engine that outlives this process and shares nothing with it."""
    private_folder(start_log_path().parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    with open(os.open(start_log_path(), flags, 0o600), "wb") as printed:
        try:
            return subprocess.Popen(
                engine_command(),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                cwd=data_dir(),
                env=engine_environment(os.environ),
                **apart,
            )
        except OSError as error:
            raise _failure(f"The engine can't be started: {error}.") from error


def _start_and_wait(deadline: float) -> EngineHeartbeat:
    started: subprocess.Popen[bytes] | None = None
    while True:
        if ready := _ready():
            return ready
        beat = engine_alive()
        if beat is None and started is None:
            started = _start()
        elif beat is None and started is not None and started.poll() is not None:
            said = last_line(start_log_path())
            raise _failure(f"The engine stopped as soon as it was started{f': {said}' if said else '.'}")
        if time.monotonic() > deadline:
            if beat is None:
                raise _failure("The engine was started and gives no sign of life.")
            raise _failure(f"The engine, process {beat.pid}, is {beat.state} and does not answer.")
        time.sleep(_LOOK_EVERY_S)


def _failure(what: str) -> NoEngineError:
    return NoEngineError(
        what, f"Run `stemfix engine` in a terminal to see why, or look into its log, {log_path()}."
    )


def engine_command() -> list[str]:
    """The command that runs an engine with this Python, also where it is embedded in another program."""
    python = Path(sys.executable or "")
    if _embedded():
        python = Path(sys.prefix) / ("python.exe" if sys.platform == "win32" else "bin/python3")
    return [str(python), "-m", "stemfix", "engine"]


def engine_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for an engine: without a host program's library and module paths, where there is one.

    Elsewhere it stays as it is, because on some systems these paths lead to the graphics card's libraries.
    """
    hosted = _embedded() or any(name.startswith(_HOST_MARKS) for name in environment)
    return {name: value for name, value in environment.items() if not (hosted and name in _HOST_PATHS)}


def _embedded() -> bool:
    """Whether Python runs inside another program."""
    return "python" not in Path(sys.executable or "").name.lower()

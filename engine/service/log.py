"""The engine's log file: private, rotated, and the only place where tracebacks go."""

from __future__ import annotations

import logging
import os
import threading
import time
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from engine.errors import OutputError
from engine.paths import data_dir
from engine.spool.private_files import private_folder

_BYTES = 1_000_000
_FILES = 3
#: Parts of the program whose ordinary news are worth a line.
_OURS = ("engine", "watchers", "stemfix")


def log_path() -> Path:
    """The engine's log."""
    return data_dir() / "logs" / "engine.log"


def start_log_path() -> Path:
    """What a detached engine printed, which is nothing unless it could not start."""
    return data_dir() / "logs" / "engine-start.log"


def log_to_file() -> logging.Handler:
    """Send this process's log, warnings and threads' failures to the log file, none of it to the terminal.

    Raises OutputError.
    """
    private_folder(log_path().parent)
    try:
        handler = _PrivateHandler(log_path(), maxBytes=_BYTES, backupCount=_FILES - 1, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{log_path()} can't be written: {error.strerror}.", "Move it away.") from error
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.addHandler(handler)
    # A full disk must not fill the terminal with reports on the log itself.
    logging.raiseExceptions = False
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_failure
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Write to the log file no longer."""
    logging.getLogger().removeHandler(handler)
    logging.captureWarnings(False)
    threading.excepthook = threading.__excepthook__
    handler.close()


def last_line(path: Path) -> str:
    """The last line of a log that holds something, or nothing."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class _PrivateHandler(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.baseFilename, flags, 0o600)
        return open(handle, "a", encoding=self.encoding, errors="backslashreplace")


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "a thread"
    if failure.exc_value is not None:
        logging.getLogger(__name__).error("%s failed", name, exc_info=failure.exc_value)

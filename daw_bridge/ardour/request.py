"""A request that goes with the next "Enhance selected region", since OSC carries no words to an action."""

from __future__ import annotations

import json
import time
from pathlib import Path

from engine.errors import OutputError
from engine.paths import data_dir
from engine.spool.private_files import ready_data_dir, write_private


def request_path() -> Path:
    """The file: JSON with `preset` and `time` (seconds since 1970). The action takes it away as it reads it,
    and obeys one that is at most ten seconds old.
    """
    return data_dir() / "ardour_request.json"


def write_request(preset: str) -> None:
    """Ask that the action which is run next uses `preset`. Raises OutputError."""
    ready_data_dir()
    path = request_path()
    try:
        write_private(path, json.dumps({"preset": preset, "time": int(time.time())}).encode())
    except OSError as error:
        raise OutputError(
            f"{path} can't be written: {error.strerror or error}.", "Make room there."
        ) from error


def withdraw_request() -> None:
    """Take the request back, if nobody has taken it."""
    request_path().unlink(missing_ok=True)

"""WatchHeartbeat: `watch.json`, in which the watching process says that it lives and how each folder does."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from engine.paths import data_dir

#: Seconds between two heartbeats.
HEARTBEAT_S = 2.0


class FolderStatus(BaseModel):
    """One watched folder."""

    folder: str
    #: `missing`: not there, and waited for; `error`: the message says what stands in the way.
    state: Literal["watching", "missing", "error"]
    #: Whether the file system is asked again and again, because it does not tell by itself.
    polled: bool = False
    #: Files that are not complete, or wait for a place in the queue.
    waiting: int = 0
    #: Files that were ever taken: with a job, or linked to one with the same content.
    taken: int = 0
    #: Of these, files whose job has not ended.
    queued: int = 0
    #: Of these, files with results.
    done: int = 0
    #: Files whose job failed, and files that are not whole or no audio.
    failed: int = 0
    #: What is wrong, or happened last.
    message: str = ""


class WatchHeartbeat(BaseModel):
    """Written every two seconds; removed when watching ends in order."""

    pid: int
    #: When this was written, in seconds since 1970.
    time: float
    folders: list[FolderStatus]


def heartbeat_path() -> Path:
    """Where the heartbeat is."""
    return data_dir() / "watch.json"


def read_heartbeat() -> WatchHeartbeat | None:
    """The last heartbeat; None if nothing watches, or what is there can't be read."""
    try:
        return WatchHeartbeat.model_validate_json(heartbeat_path().read_bytes())
    except (OSError, ValidationError):
        return None

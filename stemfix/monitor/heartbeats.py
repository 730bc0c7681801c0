"""What the parts of the service last said of themselves, from their files in the data folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TypeVar

import psutil
from pydantic import BaseModel, ValidationError

from engine.paths import data_dir
from engine.spool.client import engine_alive, is_fresh, read_heartbeat
from engine.spool.models import EngineHeartbeat
from stemfix.monitor.snapshot import BridgeStatus, EngineStatus, FolderStatus

_Model = TypeVar("_Model", bound=BaseModel)

#: A part that said nothing for longer than this is taken for stopped, whatever its process does.
_STALE_S = 15.0


class WatchFile(BaseModel):
    """`watch.json`: the watch-folder process."""

    pid: int
    time: float
    folders: list[FolderStatus] = []


class BridgeFile(BaseModel):
    """`bridge-NAME.json`: one DAW bridge."""

    pid: int
    time: float
    state: str
    message: str = ""


def read_engine() -> EngineStatus:
    """The engine, be it there or not."""
    beat = engine_alive()
    if beat is None:
        last = read_heartbeat()
        return EngineStatus(
            state="stopped",
            since=last.time if last else None,
            device=last.device if last else None,
            version=last.version if last else None,
        )
    used, free = _memory(beat)
    fresh = is_fresh(beat)
    return EngineStatus(
        state=beat.state if fresh else "silent",
        since=beat.process_started_at if fresh else beat.time,
        pid=beat.pid,
        version=beat.version,
        device=beat.device,
        model=beat.model,
        warm=beat.warm,
        memory_used_bytes=used,
        memory_free_bytes=free,
    )


def read_folders() -> tuple[FolderStatus, ...]:
    """The watched folders; those of a process that is gone are `stopped`."""
    found = _read(data_dir() / "watch.json", WatchFile)
    if found is None:
        return ()
    if _lives(found.pid, found.time):
        return tuple(found.folders)
    stopped = {"state": "stopped", "message": "nobody watches it now; start it: stemfix up"}
    return tuple(folder.model_copy(update=stopped) for folder in found.folders)


def read_bridges() -> tuple[BridgeStatus, ...]:
    """The bridges that have ever run here."""
    bridges = []
    for path in sorted(data_dir().glob("bridge-*.json")):
        if (found := _read(path, BridgeFile)) is not None:
            name = path.stem.removeprefix("bridge-")
            if _lives(found.pid, found.time):
                bridges.append(BridgeStatus(name=name, state=found.state, message=found.message))
            else:
                bridges.append(BridgeStatus(name=name, state="stopped"))
    return tuple(bridges)


def _memory(beat: EngineHeartbeat) -> tuple[int | None, int | None]:
    """Of the graphics card where one is in use, else of the machine."""
    if beat.device_memory_used_bytes is not None:
        return beat.device_memory_used_bytes, beat.device_memory_free_bytes
    return beat.memory_used_bytes or None, beat.memory_free_bytes or None


def _lives(pid: int, spoke: float) -> bool:
    return abs(time.time() - spoke) < _STALE_S and psutil.pid_exists(pid)


def _read(path: Path, model: type[_Model]) -> _Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None

"""What the parts of the service last said of themselves, from their files in the data folder."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import lru_cache

import psutil
from pydantic import BaseModel, ValidationError

import watchers.status
from engine.config import config_path, load_config
from engine.errors import OptionError
from engine.paths import data_dir
from engine.spool.client import engine_alive, is_fresh, read_heartbeat
from engine.spool.models import EngineHeartbeat
from stemfix.monitor.snapshot import BridgeStatus, EngineStatus, FolderStatus
from watchers.settings import WatchSettings

_SHOWN = set(FolderStatus.model_fields)

#: A part that said nothing for longer than this is taken for stopped, whatever its process does.
_STALE_S = 15.0


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
    """The watched folders; where nothing watches, those of the configuration are `stopped`."""
    beat = watchers.status.read_heartbeat()
    if beat is not None and _lives(beat.pid, beat.time):
        return tuple(FolderStatus(**folder.model_dump(include=_SHOWN)) for folder in beat.folders)
    stopped = "nobody watches it now. Start it: stemfix up"
    return tuple(
        FolderStatus(folder=folder, state="stopped", message=stopped) for folder in configured_folders()
    )


def configured_folders() -> tuple[str, ...]:
    """What the configuration says is to be watched; nothing where it can't be read."""
    try:
        changed_ns = config_path().stat().st_mtime_ns
    except OSError:
        return ()
    return _configured_folders(changed_ns)


@lru_cache(maxsize=1)
def _configured_folders(changed_ns: int) -> tuple[str, ...]:
    try:
        return tuple(str(settings.folder) for settings in load_config().tables("watch", WatchSettings))
    except OptionError:
        return ()


def read_bridges() -> tuple[BridgeStatus, ...]:
    """The bridges that have ever run here."""
    bridges = []
    for path in sorted(data_dir().glob("bridge-*.json")):
        name = path.stem.removeprefix("bridge-")
        with suppress(OSError, ValidationError):
            found = BridgeFile.model_validate_json(path.read_bytes())
            lives = _lives(found.pid, found.time)
            state, message = (found.state, found.message) if lives else ("stopped", "")
            bridges.append(BridgeStatus(name=name, state=state, message=message))
    return tuple(bridges)


def _memory(beat: EngineHeartbeat) -> tuple[int | None, int | None]:
    """Of the graphics card where one is in use, else of the machine."""
    if beat.device_memory_used_bytes is not None:
        return beat.device_memory_used_bytes, beat.device_memory_free_bytes
    return beat.memory_used_bytes or None, beat.memory_free_bytes or None


def _lives(pid: int, spoke: float) -> bool:
    return abs(time.time() - spoke) < _STALE_S and psutil.pid_exists(pid)

"""Heart: a thread that writes `engine.json` twice a second, so that everyone sees an engine is alive."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import psutil

from engine.service.log import log_path
from engine.spool.client import heartbeat_path
from engine.spool.models import EngineHeartbeat
from engine.spool.private_files import write_private
from engine.version import ENGINE_VERSION

EVERY_S = 0.5
_MEASURE_EVERY_S = 2.0

_log = logging.getLogger(__name__)


class Heart:
    """Beats between `start` and `stop`; `facts` gives the fields that only the engine knows."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._state: Literal["starting", "ready", "stopping"] = "starting"
        self._facts: Callable[[], dict[str, Any]] = dict
        self._version = _program_version()
        self._measured: dict[str, Any] = {}
        self._measured_at = float("-inf")
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._failed = False

    def start(self) -> None:
        """Write the first heartbeat and go on. Raises OSError where it can't be written."""
        self._write()
        self._thread.start()

    def become(
        self, state: Literal["ready", "stopping"], facts: Callable[[], dict[str, Any]] | None = None
    ) -> None:
        """Tell the new state at once, and with it from now on what `facts` gives."""
        self._state, self._facts = state, facts or dict
        self._beat()

    def stop(self) -> None:
        """Beat no more and remove the file."""
        self._stop.set()
        with self._writing, suppress(OSError):
            heartbeat_path().unlink()

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._beat()

    def _beat(self) -> None:
        try:
            self._write()
            self._failed = False
        except Exception as error:  # a full disk, or a database that does not answer
            if not self._failed:
                _log.warning("No heartbeat could be written: %s", error)
            self._failed = True

    def _write(self) -> None:
        if time.monotonic() - self._measured_at > _MEASURE_EVERY_S:
            self._measured_at = time.monotonic()
            self._measured = {**_process(), **_device_memory()}
        fields = {
            "version": self._version,
            "engine_version": ENGINE_VERSION,
            "host": socket.gethostname(),
            "time": time.time(),
            "state": self._state,
            "device": self._device,
            "log": str(log_path()),
            **self._measured,
            **self._facts(),
        }
        data = EngineHeartbeat(**fields).model_dump_json(indent=1).encode()
        with self._writing:
            if not self._stop.is_set():
                write_private(heartbeat_path(), data)


def _process() -> dict[str, Any]:
    """What the system says of this process."""
    process = psutil.Process()
    return {
        "pid": process.pid,
        # Not asked once and for all: when the clock is set, it moves with the clock, for readers too.
        "process_started_at": process.create_time(),
        "memory_used_bytes": process.memory_info().rss,
        "memory_free_bytes": psutil.virtual_memory().available,
    }


def _device_memory() -> dict[str, int]:
    """Used and free memory of the graphics card in use; nothing where none is."""
    torch = sys.modules.get("torch")
    # The modules of a torch that is being imported in another thread are not all there yet.
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return {}
    free, _ = cuda.mem_get_info()
    return {"device_memory_used_bytes": cuda.memory_reserved(), "device_memory_free_bytes": free}


def _program_version() -> str:
    try:
        return version("stemfix")
    except PackageNotFoundError:
        return "unknown"

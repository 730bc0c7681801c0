"""run_watchers: watches all folders in one process until it is told to stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from engine.errors import OptionError
from engine.spool.private_files import ready_data_dir, write_private
from watchers.folder import FolderWatch
from watchers.job_queue import JobQueue
from watchers.ledger import Ledger
from watchers.settings import WatchSettings, check_together
from watchers.status import HEARTBEAT_S, WatchHeartbeat, heartbeat_path, read_heartbeat

log = logging.getLogger(__name__)

#: Seconds in which a burst of events becomes one.
_BURST_S = 0.25
#: Seconds that a folder has to finish what it is doing; one on a lost share may hang for ever.
_STOP_S = 10.0


def run_watchers(settings: Sequence[WatchSettings], *, client: JobQueue, stop: threading.Event) -> None:
    """Watch the folders until `stop` is set. Each has a thread, so that one that hangs does not stop others.

    Raises:
        OptionError: for settings that can't be served, or if another process watches already.
        OutputError: if the data folder can't be written.
    """
    check_together(settings)
    folder = ready_data_dir()
    lock = FileLock(folder / "watch.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        running = read_heartbeat()
        who = f" (process {running.pid})" if running else ""
        raise OptionError(
            f"Another process{who} watches folders already.",
            "Stop it first, or add the folder to the configuration and start it again.",
        ) from None
    try:
        ledger = Ledger(folder / "watch.sqlite")
        try:
            _watch(settings, ledger, client, stop)
        finally:
            ledger.close()
    finally:
        lock.release()


def _watch(
    settings: Sequence[WatchSettings], ledger: Ledger, client: JobQueue, stop: threading.Event
) -> None:
    one_at_a_time = threading.RLock()
    watches = [
        FolderWatch(
            each,
            ledger,
            client,
            lock=one_at_a_time,
            clock=time.monotonic,
            stop=stop,
            others=[other.folder for other in settings if other is not each],
        )
        for each in settings
    ]
    threads = [
        threading.Thread(target=_keep_watching, args=(watch, stop), name=f"watch {number}", daemon=True)
        for number, watch in enumerate(watches, start=1)
    ]
    for thread in threads:
        thread.start()
    try:
        while True:
            _write_heartbeat(heartbeat_path(), watches)
            if stop.wait(HEARTBEAT_S):
                break
    finally:
        stop.set()
        for watch in watches:
            watch.hints.wake.set()
        until = time.monotonic() + _STOP_S
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.0))
        heartbeat_path().unlink(missing_ok=True)


def _keep_watching(watch: FolderWatch, stop: threading.Event) -> None:
    while not stop.is_set():
        pause_s = watch.tick()
        if watch.hints.wake.wait(pause_s):
            stop.wait(_BURST_S)
            watch.hints.wake.clear()
    watch.close()


def _write_heartbeat(path: Path, watches: Sequence[FolderWatch]) -> None:
    heartbeat = WatchHeartbeat(
        pid=os.getpid(), time=time.time(), folders=[watch.status() for watch in watches]
    )
    try:
        write_private(path, heartbeat.model_dump_json().encode())
    except OSError as error:
        log.warning("%s can't be written: %s", path, error)

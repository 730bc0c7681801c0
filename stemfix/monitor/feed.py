"""Feed: the one thread that reads the service's state again and again, and does what the user asked for."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from engine.errors import StemfixError
from engine.paths import data_dir
from engine.queue.records import JobState
from stemfix.monitor.heartbeats import read_bridges, read_engine, read_folders
from stemfix.monitor.snapshot import JobStatus, QueueStatus, Snapshot
from stemfix.text import plain

if TYPE_CHECKING:
    from engine.queue.client import QueueClient

#: How often the state is read while a job runs, and while none does.
BUSY_S, IDLE_S = 0.25, 1.0
#: How often the lists are read although no count has changed.
_LISTS_S = 5.0
#: QueueClient that are listed; counts are of all.
_LISTED = 100
_Result = TypeVar("_Result")


def take_snapshot(jobs: QueueClient | None, before: QueueStatus | None = None) -> Snapshot:
    """Everything at this moment; without `jobs` only what costs nothing to read."""
    return Snapshot(
        time=time.time(),
        data_dir=str(data_dir()),
        engine=read_engine(),
        queue=_read_queue(jobs, before) if jobs else None,
        folders=read_folders(),
        bridges=read_bridges(),
    )


def read_queue(jobs: QueueClient, before: QueueStatus | None = None) -> QueueStatus:
    """The queue's part; only running jobs are read again if since `before` no count has changed."""
    counts = jobs.counts()
    running = jobs.jobs(states=[JobState.RUNNING], limit=_LISTED, newest_first=False)
    live = tuple(JobStatus.of(record) for record in running)
    if before is not None and before.counts == counts and not before.problem:
        return before.model_copy(update={"running": live})
    return QueueStatus(
        counts=counts,
        waiting_by_priority={
            priority.name.lower(): count for priority, count in jobs.counts_waiting().items()
        },
        running=live,
        queued=tuple(JobStatus.of(record) for record in jobs.waiting(_LISTED)),
        ended=tuple(JobStatus.of(record) for record in jobs.ended(_LISTED)),
    )


def _read_queue(jobs: QueueClient, before: QueueStatus | None) -> QueueStatus:
    try:
        return read_queue(jobs, before)
    except StemfixError as error:
        return QueueStatus(problem=_sentence(error))


class Feed:
    """Within `with feed:` `snapshot` is never older than a second or so.

    `open_jobs` opens the queue, in the thread: that takes a while, and the first snapshot is there without.
    """

    def __init__(self, open_jobs: Callable[[], QueueClient], changed: Callable[[], None]) -> None:
        self._open = open_jobs
        self._changed = changed
        self._tasks: queue.SimpleQueue[Callable[[QueueClient | None], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.snapshot = take_snapshot(None)

    def do(
        self,
        task: Callable[[QueueClient], _Result],
        tell: Callable[[_Result], None],
        fail: Callable[[str], None],
    ) -> None:
        """Run `task` in the thread, then `tell` of its result or `fail` with one sentence."""

        def run(jobs: QueueClient | None) -> None:
            if jobs is None:
                fail("The queue can't be read.")
                return
            try:
                tell(task(jobs))
            except Exception as error:  # whatever it is, the monitor goes on
                fail(_sentence(error))

        self._tasks.put(run)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tasks.put(None)
        self._thread.join(2.0)

    def _run(self) -> None:
        jobs: QueueClient | None = None
        lists_read = 0.0
        while True:
            try:
                jobs = jobs or self._open()
                old = time.monotonic() > lists_read + _LISTS_S
                lists_read = time.monotonic() if old else lists_read
                self.snapshot = take_snapshot(jobs, before=None if old else self.snapshot.queue)
            except Exception as error:  # the monitor goes on and says what it can't see
                problem = QueueStatus(problem=_sentence(error))
                self.snapshot = take_snapshot(None).model_copy(update={"queue": problem})
            self._changed()
            found = self.snapshot.queue
            if found is not None and found.problem and jobs is not None:
                jobs.close()
                jobs = None  # opened afresh the next time
            try:
                task = self._tasks.get(timeout=BUSY_S if found and found.running else IDLE_S)
            except queue.Empty:
                continue
            if task is None:
                break
            task(jobs)
        if jobs is not None:
            jobs.close()


def _sentence(error: Exception) -> str:
    return plain(str(error) or type(error).__name__)

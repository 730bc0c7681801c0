"""Intake: takes jobs from the spool into the queue, and mirrors what becomes of them into their folders."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from engine.errors import StemfixError
from engine.job import JobSpec
from engine.queue.records import JobOutcome, JobRecord, JobState, Priority
from engine.spool.answers import ended_status, result_of, status_of
from engine.spool.client import CANCEL, JOB, LARGEST_JOB_BYTES, RESULT, STATUS, read_model, spool_dir
from engine.spool.models import SpoolJob, SpoolStatus, UnfinishedJobError
from engine.spool.private_files import private_folder, read_private, write_private
from engine.spool.rota import Rota
from engine.spool.scan import SpoolScan

#: Well within the 300 ms in which a job must be taken.
POLL_S = 0.12
#: A `job.json` that was written in its place instead of renamed into it may be cut off for so long.
_PATIENCE_S = 2.0
#: A running job's status is written no more often than that.
_WRITE_EVERY_S = 0.25
#: Per poll: seconds for folders that are new, and how many others are looked at again.
_NEW_S = 0.1
_AT_ONCE = 200
#: How long a disk or a database that fails is left alone.
_PAUSE_S = 1.0

_log = logging.getLogger(__name__)


class Queue(Protocol):
    """What the intake asks of the queue."""

    def submit(self, spec: JobSpec, *, priority: Priority, client: str, job_id: str | None = None) -> str:
        """Put a job into the queue; one that it knows already stays as it is."""
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """What the queue knows of a job."""
        ...

    def cancel(self, job_id: str) -> bool:
        """Stop a job."""
        ...


class Intake:
    """Serves the spool from a thread of its own between `start` and `stop`.

    After a restart it takes every job again that has not ended, which is idempotent by the job's id.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._spool = spool_dir()
        self._scan = SpoolScan(self._spool)
        #: Folders not looked at yet, the next one last.
        self._new: list[str] = []
        #: Folders without a job so far, and since when there is half of one.
        self._waiting = Rota()
        self._unfinished: dict[str, float] = {}
        #: Jobs that the queue has and that had not ended; what their folders say, and when that was written.
        self._live = Rota()
        self._shown: dict[str, tuple[JobRecord, float]] = {}
        self._heard: dict[str, JobRecord] = {}
        self._heard_lock = threading.Lock()
        self._paused_until = 0.0
        self._troubles: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Begin to serve. Raises OutputError where the spool can't be a private folder."""
        private_folder(self._spool)
        self._thread.start()

    def stop(self) -> None:
        """Take no more jobs."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def changed(self, record: JobRecord) -> None:
        """The queue has news of a job. Returns at once, from any thread."""
        with self._heard_lock:
            self._heard[record.job_id] = record

    def poll(self) -> None:
        """One round: take what is new, show what changed, obey cancels. Raises nothing; trouble is logged."""
        if time.monotonic() < self._paused_until:
            return
        try:
            self._new = sorted({*self._new, *self._scan.fresh()})
            self._take_new()
            self._show_news()
            self._look_after_live()
        except Exception as error:  # the spool or the queue; whatever it is, the engine goes on
            self._log_once("the spool", error)
            self._paused_until = time.monotonic() + _PAUSE_S
            with suppress(StemfixError):
                private_folder(self._spool)

    def _run(self) -> None:
        while not self._stop.wait(POLL_S):
            self.poll()

    @contextmanager
    def _job(self, name: str) -> Iterator[None]:
        """A disk's refusal concerns one job, which is tried again in its next turn."""
        try:
            yield
        except OSError as error:
            self._log_once(f"the job {name}", error)

    def _log_once(self, who: str, error: Exception) -> None:
        trouble = f"{who} has to wait: {error}"
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            _log.warning(trouble, exc_info=not isinstance(error, OSError))

    def _take_new(self) -> None:
        until = time.monotonic() + _NEW_S
        while self._new and time.monotonic() < until:
            name = self._new.pop()
            self._waiting.add(name)
            with self._job(name):
                self._take(name)
        for name in self._waiting.turn(_AT_ONCE):
            with self._job(name):
                self._take(name)

    def _take(self, name: str) -> None:
        """Look at a waiting folder: its job goes to the queue, has ended, is refused, or is not there yet."""
        folder = self._spool / name
        try:
            data = read_private(folder / JOB, LARGEST_JOB_BYTES)
            status = read_model(folder / STATUS, SpoolStatus)
            if status is not None and status.state.ended:
                self._let_go(name)
                return
            job = SpoolJob.parse(data)
        except FileNotFoundError:
            if not folder.is_dir():
                self._let_go(name)
            return
        except UnfinishedJobError as error:
            if time.monotonic() - self._unfinished.setdefault(name, time.monotonic()) > _PATIENCE_S:
                self._end(name, _failure(error))
            return
        except StemfixError as error:
            self._end(name, _failure(error))
            return
        if _is_there(folder / CANCEL) and self._queue.get(name) is None:
            self._end(name, JobOutcome(state=JobState.CANCELLED, exit_status=130))
            return
        try:
            self._queue.submit(job.spec(), priority=job.queue_priority, client=job.client, job_id=name)
        except StemfixError as error:
            self._end(name, _failure(error))
            return
        self._waiting.discard(name)
        self._live.add(name)
        self._ask(name)

    def _look_after_live(self) -> None:
        """Obey cancels, and ask after one job: the runner need not know what became of one that waits."""
        for number, name in enumerate(self._live.turn(_AT_ONCE)):
            with self._job(name):
                cancelled = _is_there(self._spool / name / CANCEL)
                if cancelled:
                    self._queue.cancel(name)
                if cancelled or number == 0:
                    self._ask(name)

    def _ask(self, name: str) -> None:
        record = self._queue.get(name)
        if record is None:
            message = "The queue no longer knows this job. Hand it over again under another id."
            self._end(name, JobOutcome(state=JobState.FAILED, message=message, exit_status=2))
        else:
            self._show(record)

    def _show_news(self) -> None:
        with self._heard_lock:
            heard, self._heard = self._heard, {}
        for record in heard.values():
            with self._job(record.job_id):
                if not self._show(record):
                    with self._heard_lock:
                        self._heard.setdefault(record.job_id, record)

    def _show(self, record: JobRecord) -> bool:
        """Write what the queue says into the job's folder; False where it is too early for that."""
        name = record.job_id
        if name not in self._live:
            return True  # it did not come from the spool
        if record.state.ended:
            self._end(name, record.outcome or JobOutcome(state=record.state))
            return True
        shown, at = self._shown.get(name, (None, 0.0))
        if record == shown:
            return True
        if shown is not None and shown.state is record.state and time.monotonic() - at < _WRITE_EVERY_S:
            return False
        self._write(name, {STATUS: status_of(record)})
        self._shown[name] = (record, time.monotonic())
        return True

    def _end(self, name: str, outcome: JobOutcome) -> None:
        # Whoever reads the end in the status must find the result.
        self._write(name, {RESULT: result_of(name, outcome), STATUS: ended_status(name, outcome)})
        self._let_go(name)

    def _write(self, name: str, files: dict[str, BaseModel]) -> None:
        folder = self._spool / name
        try:
            for file, model in files.items():
                write_private(folder / file, model.model_dump_json(indent=1).encode())
        except FileNotFoundError:
            if folder.is_dir():
                raise
            self._let_go(name)  # the client removed it: it does not want to know

    def _let_go(self, name: str) -> None:
        """The folder needs no more attention."""
        self._waiting.discard(name)
        self._live.discard(name)
        self._unfinished.pop(name, None)
        self._shown.pop(name, None)
        self._scan.ended(name)


def _failure(error: StemfixError) -> JobOutcome:
    return JobOutcome(state=JobState.FAILED, message=str(error), exit_status=error.exit_status)


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)

"""JobReporter: where a job in the queue tells how far it is, and learns that it has to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from sqlalchemy.exc import OperationalError

from engine.progress import Progress, Stage
from engine.queue.pace import Pace
from engine.queue.records import JobProgress, JobRecord
from engine.queue.store import JobStore

#: Seconds between two notes of the same stage's progress in the database.
_WRITE_S = 0.25


class Stopped(BaseException):
    """The engine stops: leave at once, with everything as it is. No Exception, so nothing records it."""


class JobReporter(Progress):
    """Stores a job's progress, at most some times a second, and the lines of its log.

    Args:
        record: the job as it begins.
        store: where to write.
        pace: predicts the stages.
        stopping: set when the engine stops.
        on_change: told of what is stored.
    """

    def __init__(
        self,
        record: JobRecord,
        store: JobStore,
        pace: Pace,
        stopping: threading.Event,
        on_change: Callable[[JobRecord], None],
    ) -> None:
        super().__init__()
        self.record = record
        #: Seconds of audio in the job's range, once they are known.
        self.audio_s = 0.0
        #: Seconds that the finished stages took.
        self.spent_s = 0.0
        self._store = store
        self._pace = pace
        self._stopping = stopping
        self._on_change = on_change
        self._lock = threading.Lock()
        self._stage: Stage | None = None
        self._stage_began = self._wrote = 0.0
        self._fraction = record.progress.fraction if record.progress else 0.0

    def update(self, stage: Stage, done: int, total: int) -> None:
        """See `Progress.update`."""
        with self._lock:
            now = monotonic()
            new = stage != self._stage
            if new:
                self._stage, self._stage_began = stage, now
            progress = self._progress(stage, done, total, now - self._stage_began)
            self.record = self.record.model_copy(update={"progress": progress})
            if not new and now - self._wrote < _WRITE_S:
                return
            self._wrote = now
            self._on_change(self.record)
            with suppress(OperationalError):  # a database that is busy or full is no reason to fail here
                self._store.set_progress(self.record.job_id, progress)

    def note(self, message: str) -> None:
        """See `Progress.note`."""
        self.say(message)

    def say(self, text: str) -> None:
        """Add a line to the job's log."""
        with suppress(OperationalError):
            self._store.say(self.record.job_id, text)

    def check(self) -> None:
        """See `Progress.check`; raises `Stopped` too."""
        if self._stopping.is_set():
            raise Stopped
        super().check()

    def finished_stage(self, stage: Stage, seconds: float, measured: bool) -> None:
        """A stage is done, here or in a process before; `measured` if it tells how fast the next will be."""
        self.spent_s += seconds
        if measured:
            self._pace.learn(stage, seconds, self.audio_s)

    def _progress(self, stage: Stage, done: int, total: int, elapsed_s: float) -> JobProgress:
        share = min(1.0, done / total) if total else 1.0
        here = self._pace.seconds(stage, self.audio_s)
        before = self._pace.before(stage, self.audio_s)
        after = self._pace.after(stage, self.audio_s)
        whole = before + here + after
        if whole > 0:
            self._fraction = max(self._fraction, min(1.0, (before + here * share) / whole))
        eta_s = None
        if done:
            eta_s = elapsed_s * (1 - share) / share + after
        elif self._pace.known(stage):
            eta_s = max(0.0, here - elapsed_s) + after
        spent = self.spent_s + elapsed_s
        return JobProgress(
            stage=stage,
            done=done,
            total=total,
            fraction=round(self._fraction, 4),
            eta_s=None if eta_s is None else round(eta_s, 1),
            speed_x_realtime=round(self.audio_s * self._fraction / spent, 3) if spent > 0.05 else None,
        )

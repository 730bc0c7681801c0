"""What an engine does for one job in the queue: the five steps in two halves, each step recorded when done.

A step that was cut off runs again from its beginning; one that is done never does. Whatever happens in a job
ends as a `JobOutcome`; nothing that a job raises gets into the database or out of here.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from sqlalchemy.exc import OperationalError

from engine.errors import Cancelled, StemfixError
from engine.models import ModelProvider
from engine.pipeline import Job
from engine.progress import Stage
from engine.publish import job_key
from engine.queue import outcomes, schedule
from engine.queue.gate import Gate
from engine.queue.pace import Pace
from engine.queue.records import JobOutcome, JobRecord
from engine.queue.reporter import JobReporter, Stopped
from engine.queue.running import RunningJob
from engine.queue.settings import QueueSettings
from engine.queue.store import JobStore
from engine.queue.trial import Trial
from engine.steps import Aligned, Enhanced, Read, Repaired, Separated, StepResult
from engine.workspace import Workspace, discard_job_folder

logger = logging.getLogger(__name__)

#: A step that began so often without coming to an end is not begun again.
MAX_STARTS = 3
#: Seconds between two looks at what a job waits for.
_LOOK_S = 0.1

Result = TypeVar("Result", bound=StepResult)


class _Ended(Exception):
    """The job has come to its end."""

    def __init__(self, outcome: JobOutcome) -> None:
        self.outcome = outcome


class Work:
    """The bodies of the two workflows."""

    def __init__(
        self,
        store: JobStore,
        settings: QueueSettings,
        models: ModelProvider,
        stopping: threading.Event,
        on_change: Callable[[JobRecord], None],
        trial: Trial | None,
    ) -> None:
        #: The jobs that are being worked on, by id.
        self.running: dict[str, RunningJob] = {}
        self._store = store
        self._settings = settings
        self._models = models
        self._stopping = stopping
        self._on_change = on_change
        self._trial = trial
        self._pace = Pace()
        self._gate = Gate()
        self._publishing: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def separate(self, job_id: str) -> None:
        """The first half: read, repair and separate, then hand over to the second."""
        self._run(job_id, self._separate_half)

    def enhance(self, job_id: str, read: dict[str, Any], separated: dict[str, Any]) -> None:
        """The second half: enhance, prove that nothing moved, publish."""
        results = Read.model_validate(read), Separated.model_validate(separated)
        self._run(job_id, lambda running: self._enhance_half(running, *results))

    def _run(self, job_id: str, half: Callable[[RunningJob], None]) -> None:
        """Take the job in hand, do one half of it, end it if that was its end, and let go of it."""
        running: RunningJob | None = None
        try:
            record = self._store.begin(job_id, self._settings.executor)
            if record is None:
                return  # it was cancelled while it waited, or cleared away
            reporter = JobReporter(record, self._store, self._pace, self._stopping, self._on_change)
            running = self.running[job_id] = RunningJob(reporter, lambda: self._make(record, reporter))
            self._on_change(record)
            try:
                half(running)
            except _Ended as end:
                self._end(running, end.outcome)
            except Cancelled as error:
                self._end(running, outcomes.failed(error))
            except OperationalError:
                raise
            except Exception as error:
                self._end(running, self._internal_error(running, error))
        except OperationalError as error:
            # The database is full or gone. Nothing is lost: the half runs again when it is back.
            logger.warning("%s waits for the queue's database: %s", job_id, error.orig)
            raise Stopped from error
        finally:
            if running is not None and self.running.get(job_id) is running:  # not that of the other half
                del self.running[job_id]

    def _separate_half(self, running: RunningJob) -> None:
        from dbos import DBOS

        read = self._step(running, "read", Read, lambda work: running.job.read(work))
        self._claim(running, read)
        repaired = self._step(running, "repair", Repaired, lambda work: self._repair(running, work, read))
        separated = self._step(
            running,
            "separate",
            Separated,
            lambda work: self._same(running, read).separate(work, repaired),
        )
        self._wait_for_room(running)
        self._store.separated(running.id)
        DBOS.enqueue_workflow_with_options(
            schedule.options(running.id, schedule.ENHANCE, running.record.priority),
            running.id,
            read.model_dump(mode="json"),
            separated.model_dump(mode="json"),
        )

    def _enhance_half(self, running: RunningJob, read: Read, separated: Separated) -> None:
        running.reporter.spent_s = read.seconds + separated.repaired.seconds + separated.seconds
        enhanced = self._step(
            running, "enhance", Enhanced, lambda work: self._same(running, read).enhance(work, separated)
        )
        aligned = self._step(
            running, "align", Aligned, lambda work: self._same(running, read).align(work, enhanced)
        )

        def publish(work: Workspace) -> StepResult:
            # Two jobs that deliver the same: the second finds what the first published.
            with self._publishing.setdefault(_claim_name(running, read), threading.Lock()):
                job = self._same(running, read)
                raise _Ended(outcomes.done(job.publish(work, read, separated, enhanced, aligned)))

        self._step(running, "publish", StepResult, publish)

    def _repair(self, running: RunningJob, work: Workspace, read: Read) -> Repaired:
        job = self._same(running, read)
        if finished := job.finished(read):
            raise _Ended(outcomes.done(finished))
        return job.repair(work, read)

    def _step(
        self, running: RunningJob, stage: Stage, kind: type[Result], call: Callable[[Workspace], Result]
    ) -> Result:
        """Do a step, or take what it gave when it was done before. Raises _Ended where the job ends in it."""
        from dbos import DBOS

        got = DBOS.run_step({"name": stage}, self._attempt, running, stage, call)
        if "outcome" in got:
            raise _Ended(JobOutcome.model_validate(got["outcome"]))
        result = kind.model_validate(got["result"])
        without_model = isinstance(result, Separated) and result.device == "none"
        running.reporter.finished_stage(stage, result.seconds, measured=not without_model)
        return result

    def _attempt(
        self, running: RunningJob, stage: Stage, call: Callable[[Workspace], StepResult]
    ) -> dict[str, Any]:
        """Run a step now; its result or the job's end, as plain data."""
        reporter = running.reporter
        starts = self._store.starts(running.id, stage)
        with self._gate.enter(alone=starts > 0, check=reporter.check):
            reporter.check()
            if starts >= MAX_STARTS and not self._acquitted(running):
                return _plain(outcomes.gave_up(stage, starts))
            line = f"{stage} begins" + (", alone, as it was cut off before" if starts else "")
            self._store.begin_step(running.id, stage, line)
            try:
                with running.workspace(first=stage == "read") as work:
                    reporter.update(stage, 0, 1)
                    result = call(work)
            except Stopped:
                self._store.leave_step(running.id)
                raise
            except OperationalError:
                raise
            except _Ended as end:
                return _plain(end.outcome)
            except StemfixError as error:
                return _plain(outcomes.failed(error))
            except Exception as error:
                return _plain(self._internal_error(running, error))
        return {"result": result.model_dump(mode="json")}

    def _acquitted(self, running: RunningJob) -> bool:
        """Whether it was something else that the engine died of so often; believed once."""
        if self._trial is None:
            return False
        running.reporter.say("The engine died so often in this step that the job is tried in another process")
        with running.workspace(first=False) as work:
            folder = work.fresh_folder("trial")
            survived = self._trial.survives(
                running.job.spec.model_copy(update={"out_dir": folder}), running.reporter.check
            )
            shutil.rmtree(folder)
        return survived and self._store.acquit(running.id)

    def _same(self, running: RunningJob, read: Read) -> Job:
        """The job's steps, if they would still give what they began. Raises StemfixError."""
        job = running.job
        if job_key(job.spec, read.digest, job.preset, job.model, job.name) != read.key:
            raise StemfixError(
                f"The preset {job.preset.name!r} or the model {job.model.name!r} changed while the job ran.",
                f"Run: stemfix jobs retry {running.id}",
            )
        return job

    def _claim(self, running: RunningJob, read: Read) -> None:
        """Make the job's results its own; first wait for another job that is about to deliver the same."""
        said = False
        while holder := self._store.claim(running.id, _claim_name(running, read), self._settings.executor):
            if not said:
                running.reporter.say(f"Waits for job {holder}, which delivers the same")
                said = True
            running.reporter.check()
            time.sleep(_LOOK_S)

    def _wait_for_room(self, running: RunningJob) -> None:
        """Don't pile up separated jobs, each with its work folder, faster than they are enhanced."""
        while self._store.count_separated(self._settings.executor) > self._settings.cpu_workers:
            running.reporter.check()
            time.sleep(_LOOK_S)

    def _make(self, record: JobRecord, reporter: JobReporter) -> Job:
        spec = record.spec
        if spec.device == "auto":
            spec = spec.model_copy(update={"device": self._settings.device})
        return Job(spec, reporter, self._models)

    def _end(self, running: RunningJob, outcome: JobOutcome) -> None:
        spec = running.record.spec
        discard_job_folder(spec.out_dir, spec.source, running.id)
        state = outcome.state.value.replace("_", " ")
        record = self._store.finish(running.id, outcome, ": ".join(filter(None, (state, outcome.message))))
        if record is not None:
            self._on_change(record)

    def _internal_error(self, running: RunningJob, error: Exception) -> JobOutcome:
        for line in traceback.format_exception(error):
            running.reporter.say(line.rstrip())
        return outcomes.internal_error(error)


def _claim_name(running: RunningJob, read: Read) -> str:
    return f"{read.key} {running.record.spec.out_dir}"


def _plain(outcome: JobOutcome) -> dict[str, Any]:
    return {"outcome": outcome.model_dump(mode="json")}

"""Jobs of `enhance --queue`: each is handed to the engine, and with `--wait` followed to its end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError, StemfixError
from engine.job import JobSpec, Manifest, Report
from engine.pipeline import JobResult
from engine.progress import Progress
from engine.publish import MANIFEST, REPORT
from engine.queue.records import JobOutcome, JobRecord, JobState, Priority
from engine.service.autostart import ensure_engine
from engine.spool.client import engine_alive
from stemfix.interrupt import stop_on_signals
from stemfix.live import job_progress
from stemfix.text import count_text

if TYPE_CHECKING:
    from engine.queue.client import QueueClient

#: Between two looks at a job, and at the engine.
_LOOK_S, _ENGINE_S = 0.25, 3.0


class EndedOtherwiseError(StemfixError):
    """A job that was followed did not get done."""

    def __init__(self, outcome: JobOutcome) -> None:
        super().__init__(outcome.message or f"The job ended as {outcome.state.value}.")
        self.exit_status = outcome.exit_status or 2


class StoppedWaitingError(StemfixError):
    """The user does not want to wait any longer; the jobs go on."""

    exit_status = 130


@dataclass(frozen=True)
class QueuedJob:
    """A job that is in the queue now."""

    path: Path
    job_id: str
    #: Of its recording.
    seconds: float


def submit_job(queue: QueueClient, spec: JobSpec, path: Path, seconds: float) -> QueuedJob:
    """Put a job into the queue; from then on it is not lost, whatever happens to this process."""
    return QueuedJob(path, queue.submit(spec, priority=Priority.BATCH, client="cli"), seconds)


def follow_job(queue: QueueClient, job: QueuedJob, quiet: bool) -> JobResult:
    """Show a job's progress until it ends, and return its results.

    Raises StoppedWaitingError after a signal such as Ctrl-C, EndedOtherwiseError for a job that did not get
    done, NoEngineError where no engine runs and none can be started.
    """
    with job_progress(job.seconds, quiet) as progress, stop_on_signals(progress):
        record = _follow(queue, job.job_id, progress)
    outcome = record.outcome or JobOutcome(state=record.state)
    if outcome.state is not JobState.DONE or outcome.folder is None:
        raise EndedOtherwiseError(outcome)
    folder = Path(outcome.folder)
    try:
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        report = Report.model_validate_json((folder / REPORT).read_bytes())
    except (OSError, ValueError):
        raise InputError(f"The results in {folder} can't be read.", "Somebody changed them.") from None
    return JobResult(folder, manifest, report, outcome.already_done)


def _follow(queue: QueueClient, job_id: str, progress: Progress) -> JobRecord:
    """The job once it has ended. Raises StoppedWaitingError."""
    looked, told = time.monotonic(), False
    while not progress.cancelled:
        record = queue.get(job_id)
        if record is None:
            raise InputError(f"The job {job_id} is not in the queue any more.", "Somebody cleared it.")
        if record.state.ended:
            for note in record.outcome.notes if record.outcome else []:
                progress.note(note)
            return record
        if record.progress is not None:
            progress.update(record.progress.stage, record.progress.done, record.progress.total)
        if time.monotonic() > looked + _ENGINE_S:
            looked = time.monotonic()
            if engine_alive() is None:
                ensure_engine()
            if record.state is JobState.QUEUED and not told:
                told = True
                progress.note(f"{count_text(queue.counts()[JobState.QUEUED], 'job')} in the queue.")
        time.sleep(_LOOK_S)
    raise StoppedWaitingError("No longer waiting; the queue keeps the jobs.", "See: stemfix status")

"""How a job may end, in the words that the user reads."""

from __future__ import annotations

from engine.errors import Cancelled, StemfixError
from engine.pipeline import JobResult
from engine.progress import Stage
from engine.queue.records import JobOutcome, JobState


def done(result: JobResult) -> JobOutcome:
    """Its results are there."""
    return JobOutcome(
        state=JobState.DONE,
        folder=str(result.folder),
        already_done=result.already_done,
        verdict=result.manifest.verdict,
        null_rms_db=result.manifest.null_rms_db,
        notes=result.report.notes,
    )


def failed(error: StemfixError) -> JobOutcome:
    """It could not be done, or was cancelled."""
    state = JobState.CANCELLED if isinstance(error, Cancelled) else JobState.FAILED
    return JobOutcome(state=state, message=str(error), exit_status=error.exit_status)


def gave_up(stage: Stage, starts: int) -> JobOutcome:
    """A step was begun so often, and the engine always died in it."""
    return JobOutcome(
        state=JobState.GAVE_UP,
        message=f"The engine died {starts} times in this job's step '{stage}', so it is not tried again.",
        exit_status=1,
    )


def internal_error(error: Exception) -> JobOutcome:
    """A mistake of the program."""
    message = f"internal error: {type(error).__name__}: {error}"
    return JobOutcome(state=JobState.FAILED, message=message, exit_status=1)

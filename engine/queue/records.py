"""What the queue says of a job: its state, where it stands, and how it ended."""

from __future__ import annotations

from enum import Enum, IntEnum

from pydantic import BaseModel, ConfigDict, Field

from engine.job import JobSpec
from engine.progress import Stage

#: What a job's id may look like; it becomes part of folder names.
JOB_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class Priority(IntEnum):
    """Who waits for the job; a lower number goes first, equal ones in the order they came."""

    DAW = 1
    WATCHED = 5
    BATCH = 10


class JobState(str, Enum):
    """Where a job stands. The last four are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    #: It killed the engine three times.
    GAVE_UP = "gave_up"

    @property
    def ended(self) -> bool:
        """True once nothing more will happen to the job."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class JobProgress(BaseModel):
    """Where a running job stands."""

    model_config = ConfigDict(frozen=True)

    stage: Stage
    #: Units of the stage: segments, stems, blocks.
    done: int
    total: int
    #: Of the whole job, 0 to 1.
    fraction: float
    #: Seconds left, from the speed measured so far; None until it is known.
    eta_s: float | None = None
    #: Source seconds per second over the job so far.
    speed_x_realtime: float | None = None


class JobOutcome(BaseModel):
    """How a job ended."""

    model_config = ConfigDict(frozen=True)

    state: JobState
    #: One clear sentence where it failed.
    message: str = ""
    #: The exit status that the command would have had.
    exit_status: int = 0
    #: The published folder of a job that is done.
    folder: str | None = None
    already_done: bool = False
    verdict: str | None = None
    null_rms_db: float | None = None
    notes: list[str] = []


class JobRecord(BaseModel):
    """Everything that the queue knows of one job."""

    job_id: str = Field(pattern=JOB_ID_PATTERN)
    spec: JobSpec
    priority: Priority
    #: Who submitted it: `cli`, `watch`, `spool`, `reaper`, `ardour`.
    client: str
    state: JobState
    progress: JobProgress | None = None
    outcome: JobOutcome | None = None
    #: Seconds since the epoch.
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    #: The job that this one tries again.
    retry_of: str | None = None

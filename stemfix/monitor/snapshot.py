"""Snapshot: the whole state of the service at one moment, as plain data; also what `status --json` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.progress import Stage
from engine.queue.records import JobRecord, JobState

#: `major.minor` of the JSON; a reader should refuse a newer major version.
STATUS_VERSION = "1.0"

#: `silent`: its process is there, but it has said nothing for a while.
EngineState = Literal["starting", "ready", "stopping", "silent", "stopped"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class EngineStatus(_Part):
    """The engine process, or that there is none."""

    state: EngineState
    #: Seconds since the epoch: when the state began, as far as that is known.
    since: float | None = None
    pid: int | None = None
    version: str | None = None
    #: Such as `cpu` or `cuda`.
    device: str | None = None
    #: The model in memory, or the one that was there last.
    model: str | None = None
    #: Whether the model is in memory, so that the next job starts at once.
    warm: bool = False
    memory_used_bytes: int | None = None
    memory_free_bytes: int | None = None


class JobStatus(_Part):
    """One job."""

    job_id: str
    state: JobState
    #: `daw`, `watched` or `batch`.
    priority: str
    #: Who submitted it: `cli`, `watch`, `spool`, `reaper`, `ardour`.
    client: str
    source: str
    preset: str
    model: str
    #: Seconds since the epoch.
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    stage: Stage | None = None
    #: Units of the stage.
    stage_done: int = 0
    stage_total: int = 0
    #: Of the whole job, 0 to 1.
    fraction: float = 0.0
    eta_s: float | None = None
    #: Source seconds per second.
    speed_x_realtime: float | None = None
    #: Of the stems' alignment: PASS, WARN or FAIL.
    verdict: str | None = None
    #: RMS in dBFS of (source - sum of the stems before their chains).
    null_rms_db: float | None = None
    #: Where the results are; of a job that is not done, where they will be made.
    folder: str
    #: Why it failed.
    message: str = ""
    #: The job that this one tries again.
    retry_of: str | None = None

    @classmethod
    def of(cls, record: JobRecord) -> JobStatus:
        """What the queue knows of a job, flat."""
        spec, progress, outcome = record.spec, record.progress, record.outcome
        return cls(
            job_id=record.job_id,
            state=record.state,
            priority=record.priority.name.lower(),
            client=record.client,
            source=str(spec.source),
            preset=spec.preset,
            model=spec.model,
            created_at=record.created_at,
            started_at=record.started_at,
            ended_at=record.ended_at,
            stage=progress.stage if progress else None,
            stage_done=progress.done if progress else 0,
            stage_total=progress.total if progress else 0,
            fraction=progress.fraction if progress else 0.0,
            eta_s=progress.eta_s if progress else None,
            speed_x_realtime=progress.speed_x_realtime if progress else None,
            verdict=outcome.verdict if outcome else None,
            null_rms_db=outcome.null_rms_db if outcome else None,
            folder=(outcome.folder if outcome else None) or str(spec.out_dir),
            message=outcome.message if outcome else "",
            retry_of=record.retry_of,
        )


class QueueStatus(_Part):
    """The jobs: `running`, `queued` and `ended` list the first ones of each, `counts` counts them all."""

    counts: dict[JobState, int] = {}
    #: Queued jobs per priority; empty where that is not known.
    waiting_by_priority: dict[str, int] = {}
    running: tuple[JobStatus, ...] = ()
    #: In the order in which they will be done: by priority, then by age.
    queued: tuple[JobStatus, ...] = ()
    #: The last results, newest first.
    ended: tuple[JobStatus, ...] = ()
    #: Why the queue could not be read.
    problem: str = ""

    @property
    def jobs(self) -> tuple[JobStatus, ...]:
        """All that are listed, in the order of the screen."""
        return self.running + self.queued + self.ended

    def count(self, *states: JobState) -> int:
        """How many jobs are in these states."""
        return sum(self.counts.get(state, 0) for state in states)


class FolderStatus(_Part):
    """A watched folder."""

    folder: str
    #: `watching`, `missing` (it will be picked up again), `error`, or `stopped`: nobody watches it now.
    state: str
    #: Files that are not complete, or wait for a place in the queue.
    waiting: int = 0
    #: Files whose job has not ended.
    queued: int = 0
    #: Files with results.
    done: int = 0
    #: Files whose job failed, and files that are not whole or no audio.
    failed: int = 0
    message: str = ""


class BridgeStatus(_Part):
    """The link to a DAW."""

    name: str
    #: `connected`, `waiting` (the DAW does not run), `error`, or `stopped`: the bridge does not run.
    state: str
    message: str = ""


class Snapshot(_Part):
    """Everything at one moment."""

    status_version: str = STATUS_VERSION
    #: Seconds since the epoch.
    time: float
    data_dir: str
    engine: EngineStatus
    #: None until it was read for the first time.
    queue: QueueStatus | None = None
    folders: tuple[FolderStatus, ...] = ()
    bridges: tuple[BridgeStatus, ...] = ()

"""A private data folder, and a queue that only remembers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.job import JobSpec
from engine.queue.records import JobOutcome, JobProgress, JobRecord, JobState, Priority
from engine.spool.client import spool_dir
from engine.spool.intake import Intake
from engine.spool.models import SpoolJob


class StillQueue:
    """Knows jobs, and works on none: a test says what becomes of them."""

    def __init__(self) -> None:
        self.jobs: dict[str, JobRecord] = {}
        self.submits = 0
        self.broken: Exception | None = None

    def submit(
        self, spec: JobSpec, *, priority: Priority, client: str, job_id: str | None = None, **_: Any
    ) -> str:
        if self.broken:
            raise self.broken
        assert job_id is not None
        self.submits += 1
        self.jobs.setdefault(
            job_id,
            JobRecord(
                job_id=job_id,
                spec=spec,
                priority=priority,
                client=client,
                state=JobState.QUEUED,
                created_at=time.time(),
            ),
        )
        return job_id

    def get(self, job_id: str) -> JobRecord | None:
        if self.broken:
            raise self.broken
        return self.jobs.get(job_id)

    def cancel(self, job_id: str) -> bool:
        self.end(job_id, JobOutcome(state=JobState.CANCELLED, exit_status=130))
        return True

    def progress(self, job_id: str, done: int, total: int) -> JobRecord:
        progress = JobProgress(stage="separate", done=done, total=total, fraction=done / total, eta_s=1.5)
        return self._change(job_id, state=JobState.RUNNING, progress=progress)

    def end(self, job_id: str, outcome: JobOutcome) -> JobRecord:
        return self._change(job_id, state=outcome.state, outcome=outcome)

    def _change(self, job_id: str, **fields: Any) -> JobRecord:
        self.jobs[job_id] = self.jobs[job_id].model_copy(update=fields)
        return self.jobs[job_id]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder."""
    folder = tmp_path / "data"
    monkeypatch.setenv("STEMFIX_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def spool(data: Path) -> Path:
    """The spool, as an engine makes it."""
    spool_dir().mkdir(parents=True, mode=0o700)
    return spool_dir()


@pytest.fixture
def queue() -> StillQueue:
    """A queue in which nothing happens by itself."""
    return StillQueue()


@pytest.fixture
def intake(spool: Path, queue: StillQueue) -> Intake:
    """Polled by the test instead of a thread."""
    return Intake(queue)


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., SpoolJob]:
    """`job(**fields)`: a job as a client would write it."""

    def make(**fields: Any) -> SpoolJob:
        return SpoolJob(**{"source": tmp_path / "song.wav", "out_dir": tmp_path / "out", **fields})

    return make

"""QueueClient: hand jobs to the engine and follow them, from any process, whether an engine runs or not."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine.errors import OptionError
from engine.job import JobSpec
from engine.queue import schedule
from engine.queue.database import open_database, speak_plainly
from engine.queue.records import JobRecord, JobState, Priority
from engine.queue.settings import default_url
from engine.queue.store import JobStore
from engine.workspace import discard_job_folder

#: Seconds between two looks at a job that somebody waits for.
_LOOK_S = 0.05


class QueueClient:
    """The queue at `url`, by default the user's own.

    A job counts as handed over when `submit` returns: from then on it survives a crash and a power cut.

    Raises:
        OptionError: the URL is none.
        OutputError: the database can't be made, reached or, from all methods, used: it is full, say.
    """

    def __init__(self, url: str | None = None) -> None:
        self._store = JobStore(open_database(url or default_url()))
        speak_plainly(self._store.database)
        self._dbos: Any = None

    def __enter__(self) -> QueueClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(
        self,
        spec: JobSpec,
        *,
        priority: Priority,
        client: str,
        job_id: str | None = None,
        retry_of: str | None = None,
    ) -> str:
        """Queue a job and return its id. With an id that is taken nothing happens: it was submitted before.

        Ids that are made here sort by time.
        """
        record = JobRecord(
            job_id=job_id or _new_id(),
            spec=_absolute(spec),
            priority=priority,
            client=client,
            state=JobState.QUEUED,
            created_at=time.time(),
            retry_of=retry_of,
        )
        if job_id is not None and self._store.get(job_id) is not None:
            return job_id
        try:
            with self._store.database.begin() as connection:
                self._store.insert(connection, record)
                schedule.enqueue(self._dbos_client(), connection, record.job_id, priority, record.created_at)
            _let_the_millisecond_pass(record.created_at)
        except sa.exc.IntegrityError:
            if self._store.get(record.job_id) is None:
                raise
        return record.job_id

    def get(self, job_id: str) -> JobRecord | None:
        """What is known of a job."""
        return self._store.get(job_id)

    def find(self, beginning: str) -> JobRecord:
        """The one job whose id is or begins so. Raises OptionError if there is none, or more than one."""
        found = self._store.named(beginning, limit=4) if beginning else []
        if len(found) > 1 and beginning not in found:
            others = f"{', '.join(found[:3])}{' and more' if len(found) > 3 else ''}"
            raise OptionError(f"Several jobs begin with {beginning!r}: {others}.", "Write more of the id.")
        return self._required(beginning if beginning in found or not found else found[0])

    def jobs(
        self,
        *,
        states: Collection[JobState] | None = None,
        limit: int = 100,
        newest_first: bool = True,
    ) -> list[JobRecord]:
        """The newest jobs, or those in certain states, or the oldest."""
        return self._store.select(states, limit, newest_first)

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        return self._store.counts()

    def waiting(self, limit: int = 100) -> list[JobRecord]:
        """The jobs whose turn comes next, first the next one."""
        return self._store.waiting(limit)

    def ended(self, limit: int = 100) -> list[JobRecord]:
        """The last results: jobs that have ended, the last one first."""
        return self._store.ended(limit)

    def counts_waiting(self) -> dict[Priority, int]:
        """How many jobs wait of each priority."""
        return self._store.counts_waiting()

    def cancel(self, job_id: str) -> bool:
        """Stop a job, queued or running (which takes up to a segment's time); False if it has ended."""
        return self._store.cancel(job_id)

    def retry(self, job_id: str) -> str:
        """Submit a new job with the same spec and return its id. Raises OptionError for an unknown job."""
        record = self._required(job_id)
        return self.submit(record.spec, priority=record.priority, client=record.client, retry_of=job_id)

    def clear(self, older_than_s: float = 0.0) -> int:
        """Forget the jobs that ended so long ago, never their results; returns how many."""
        records = self._store.ended_before(time.time() - older_than_s)
        for record in records:
            discard_job_folder(record.spec.out_dir, record.spec.source, record.job_id)
        job_ids = [record.job_id for record in records]
        schedule.forget(self._store.database, job_ids)
        return self._store.delete(job_ids)

    def wait(self, job_id: str, timeout_s: float) -> JobRecord:
        """The job's record once it has ended, or as it is when the time is over. Raises OptionError."""
        until = time.monotonic() + timeout_s
        while not (record := self._required(job_id)).state.ended and time.monotonic() < until:
            time.sleep(_LOOK_S)
        return record

    def log(self, job_id: str) -> list[str]:
        """What the job said on its way, one line each, with the local time."""
        return [
            f"{datetime.fromtimestamp(moment):%Y-%m-%d %H:%M:%S} {text}"
            for moment, text in self._store.log(job_id)
        ]

    def close(self) -> None:
        """Let go of the database."""
        self._store.database.dispose()

    def _required(self, job_id: str) -> JobRecord:
        record = self._store.get(job_id)
        if record is None:
            raise OptionError(f"There is no job {job_id!r}.", "See: stemfix jobs list")
        return record

    def _dbos_client(self) -> Any:
        if self._dbos is None:
            self._dbos = schedule.client(self._store.database)
        return self._dbos


def _new_id() -> str:
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(4)}"


def _absolute(spec: JobSpec) -> JobSpec:
    """The spec as it reads from any folder."""
    preset = spec.preset
    if Path(preset).name != preset or preset.endswith(".toml"):
        preset = str(Path(preset).expanduser().absolute())
    source, out_dir = spec.source.expanduser().absolute(), spec.out_dir.expanduser().absolute()
    return spec.model_copy(update={"source": source, "out_dir": out_dir, "preset": preset})


def _let_the_millisecond_pass(moment: float) -> None:
    """DBOS orders equals by the millisecond they came in: the next job must come in a later one."""
    while time.time() < moment + 0.002:
        time.sleep(0.0005)

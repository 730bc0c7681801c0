"""JobStore: what the queue's tables are asked and told; every method is one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from engine.errors import Cancelled
from engine.queue.database import jobs, log
from engine.queue.records import JobOutcome, JobProgress, JobRecord, JobState, Priority

_LIVE = (JobState.QUEUED.value, JobState.RUNNING.value)
_is_live = jobs.c.state.in_(_LIVE)
#: Rows per statement where there may be any number: SQLite takes 32766 values at most.
_CHUNK = 5000


class JobStore:
    """The jobs and their logs, in a database that `open_database` opened."""

    def __init__(self, database: sa.Engine) -> None:
        self.database = database

    # What anybody may ask.

    def get(self, job_id: str) -> JobRecord | None:
        """The job called `job_id`."""
        found = self._select(sa.select(jobs).where(jobs.c.job_id == job_id))
        return found[0] if found else None

    def named(self, beginning: str, limit: int) -> list[str]:
        """Ids that begin so, in their order."""
        above = jobs.c.job_id >= beginning
        query = sa.select(jobs.c.job_id).where(above, jobs.c.job_id.startswith(beginning, autoescape=True))
        with self.database.connect() as connection:
            return list(connection.execute(query.order_by(jobs.c.job_id).limit(limit)).scalars())

    def select(
        self, states: Collection[JobState] | None, limit: int | None, newest_first: bool
    ) -> list[JobRecord]:
        """Jobs in these states, in the order in which they were submitted or the other way round."""
        order = (jobs.c.created_at, jobs.c.job_id)
        query = sa.select(jobs).order_by(*(column.desc() if newest_first else column for column in order))
        if states is not None:
            query = query.where(jobs.c.state.in_([state.value for state in states]))
        return self._select(query.limit(limit))

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state; all states are there."""
        query = sa.select(jobs.c.state, sa.func.count()).group_by(jobs.c.state)
        with self.database.connect() as connection:
            found = {row[0]: row[1] for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in JobState}

    def waiting(self, limit: int) -> list[JobRecord]:
        """Queued jobs in the order in which their turn comes."""
        query = sa.select(jobs).where(jobs.c.state == JobState.QUEUED.value)
        return self._select(query.order_by(jobs.c.priority, jobs.c.created_at, jobs.c.job_id).limit(limit))

    def ended(self, limit: int) -> list[JobRecord]:
        """Jobs that have ended, the last one first."""
        query = sa.select(jobs).where(jobs.c.ended_at.is_not(None))
        return self._select(query.order_by(jobs.c.ended_at.desc(), jobs.c.job_id.desc()).limit(limit))

    def counts_waiting(self) -> dict[Priority, int]:
        """How many queued jobs there are of each priority; all priorities are there."""
        query = sa.select(jobs.c.priority, sa.func.count()).where(jobs.c.state == JobState.QUEUED.value)
        with self.database.connect() as connection:
            found = {row[0]: row[1] for row in connection.execute(query.group_by(jobs.c.priority))}
        return {priority: found.get(int(priority), 0) for priority in Priority}

    def log(self, job_id: str) -> list[tuple[float, str]]:
        """What the job said: seconds since the epoch, and the text."""
        query = sa.select(log.c.time, log.c.text).where(log.c.job_id == job_id).order_by(log.c.line)
        with self.database.connect() as connection:
            return [(row.time, row.text) for row in connection.execute(query)]

    # What a client may do.

    def insert(self, connection: sa.Connection, record: JobRecord) -> None:
        """Add a queued job within the caller's transaction. Raises IntegrityError if its id is taken."""
        connection.execute(
            sa.insert(jobs).values(
                spec=record.spec.model_dump_json(),
                state=record.state.value,
                priority=int(record.priority),
                **record.model_dump(include={"job_id", "client", "created_at", "retry_of"}),
            )
        )

    def cancel(self, job_id: str) -> bool:
        """End a queued job, or ask a running one to stop; False if it had ended or there is none."""
        cancelled = Cancelled()
        outcome = JobOutcome(
            state=JobState.CANCELLED, message=str(cancelled), exit_status=cancelled.exit_status
        )
        this = jobs.c.job_id == job_id
        ended = sa.update(jobs).where(this, jobs.c.state == JobState.QUEUED.value)
        asked = sa.update(jobs).where(this, jobs.c.state == JobState.RUNNING.value)
        with self.database.begin() as connection:
            if connection.execute(ended.values(_end(outcome))).rowcount:
                _say(connection, job_id, "Cancelled while it waited.")
                return True
            return connection.execute(asked.values(cancel=True)).rowcount > 0

    def ended_before(self, moment: float) -> list[JobRecord]:
        """Jobs that ended before that many seconds since the epoch."""
        return self._select(sa.select(jobs).where(~_is_live, jobs.c.ended_at <= moment))

    def delete(self, job_ids: Sequence[str]) -> int:
        """Forget jobs that have ended; returns how many."""
        deleted = 0
        for some in _chunks(job_ids):
            with self.database.begin() as connection:
                found = connection.execute(sa.delete(jobs).where(jobs.c.job_id.in_(some), ~_is_live))
                connection.execute(
                    sa.delete(log).where(
                        log.c.job_id.in_(some), ~sa.exists().where(jobs.c.job_id == log.c.job_id)
                    )
                )
                deleted += found.rowcount
        return deleted

    # What the runner does.

    def begin(self, job_id: str, executor: str) -> JobRecord | None:
        """Note that the engine `executor` works on the job; None if it has ended or is gone."""
        values = {
            "state": JobState.RUNNING.value,
            "executor": executor,
            "started_at": sa.func.coalesce(jobs.c.started_at, time.time()),
        }
        if not self._update(sa.and_(jobs.c.job_id == job_id, _is_live), values):
            return None
        return self.get(job_id)

    def set_progress(self, job_id: str, progress: JobProgress) -> None:
        """Note how far the job is."""
        self._update(jobs.c.job_id == job_id, {"progress": progress.model_dump_json()})

    def say(self, job_id: str, text: str) -> None:
        """Add a line to the job's log."""
        with self.database.begin() as connection:
            _say(connection, job_id, text)

    def starts(self, job_id: str, step: str) -> int:
        """How often the job began this step without coming to its end."""
        query = sa.select(jobs.c.starts).where(jobs.c.job_id == job_id, jobs.c.step == step)
        with self.database.connect() as connection:
            return connection.execute(query).scalar() or 0

    def acquit(self, job_id: str) -> bool:
        """What the engine died of so far was not this job; False if that was said before."""
        this = sa.and_(jobs.c.job_id == job_id, ~jobs.c.acquitted)
        return self._update(this, {"starts": 0, "acquitted": True}) > 0

    def any_suspects(self, starts: int) -> bool:
        """Whether a job began a step so often without coming to its end."""
        query = sa.select(jobs.c.job_id).where(_is_live, jobs.c.starts >= starts).limit(1)
        with self.database.connect() as connection:
            return connection.execute(query).first() is not None

    def begin_step(self, job_id: str, step: str, line: str) -> None:
        """The job begins the step, and says so in its log."""
        starts = sa.case((jobs.c.step == step, jobs.c.starts + 1), else_=1)
        with self.database.begin() as connection:
            update = sa.update(jobs).where(jobs.c.job_id == job_id)
            connection.execute(update.values(step=step, starts=starts))
            _say(connection, job_id, line)

    def leave_step(self, job_id: str) -> None:
        """The job leaves its step in good order, but before its end: that start does not count."""
        self._update(jobs.c.job_id == job_id, {"starts": jobs.c.starts - 1})

    def separated(self, job_id: str) -> None:
        """Note that what is left of the job is for the CPU."""
        self._update(jobs.c.job_id == job_id, {"separated": True})

    def count_separated(self, executor: str) -> int:
        """How many jobs of this engine wait for the CPU or are on it."""
        query = sa.select(sa.func.count()).where(_is_live, jobs.c.separated, jobs.c.executor == executor)
        with self.database.connect() as connection:
            return connection.execute(query).scalar() or 0

    def claim(self, job_id: str, claim: str, executor: str) -> str | None:
        """Make the results called `claim` this job's alone, or say which job of this engine has them already.

        Another engine's claim counts for nothing: that engine may be gone.
        """
        held = sa.select(jobs.c.job_id, jobs.c.executor).where(jobs.c.claim == claim, jobs.c.job_id != job_id)
        with self.database.begin() as connection:
            # First a write, so that nobody comes between the look and the claim.
            connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(claim=None))
            holder = connection.execute(held).first()
            if holder is None:
                connection.execute(sa.update(jobs).where(jobs.c.job_id == job_id).values(claim=claim))
            return holder.job_id if holder and holder.executor == executor else None

    def finish(self, job_id: str, outcome: JobOutcome, line: str) -> JobRecord | None:
        """End the job, unless it has ended already; its record, or None if it is gone."""
        with self.database.begin() as connection:
            this = sa.and_(jobs.c.job_id == job_id, _is_live)
            if connection.execute(sa.update(jobs).where(this).values(_end(outcome))).rowcount:
                _say(connection, job_id, line)
        return self.get(job_id)

    def cancelled_among(self, job_ids: Collection[str]) -> list[str]:
        """Those of the jobs that somebody asked to cancel."""
        query = sa.select(jobs.c.job_id).where(jobs.c.cancel, jobs.c.job_id.in_(list(job_ids)))
        with self.database.connect() as connection:
            return list(connection.execute(query).scalars())

    def release(self, executor: str) -> list[str]:
        """Put back what an engine that is not running any more was at; returns the ids of those jobs."""
        this = sa.and_(jobs.c.executor == executor, jobs.c.state == JobState.RUNNING.value)
        with self.database.begin() as connection:
            update = sa.update(jobs).where(this).values(state=JobState.QUEUED.value, claim=None)
            return list(connection.execute(update.returning(jobs.c.job_id)).scalars())

    def untidy(self, ended_before: float, limit: int) -> list[JobRecord]:
        """Jobs that ended before that time and may still have a work folder or be known to DBOS."""
        query = sa.select(jobs).where(~jobs.c.tidy, jobs.c.ended_at <= ended_before)
        return self._select(query.limit(limit))

    def tidied(self, job_ids: Sequence[str]) -> None:
        """Nothing is left of these jobs but their records."""
        for some in _chunks(job_ids):
            self._update(jobs.c.job_id.in_(some), {"tidy": True})

    def _update(self, where: sa.ColumnElement[bool], values: dict[str, Any]) -> int:
        with self.database.begin() as connection:
            return connection.execute(sa.update(jobs).where(where).values(values)).rowcount

    def _select(self, query: sa.Select[Any]) -> list[JobRecord]:
        with self.database.connect() as connection:
            return [_record(row) for row in connection.execute(query)]


def _record(row: sa.Row[Any]) -> JobRecord:
    fields = row._asdict()
    for name in ("spec", "progress", "outcome"):
        fields[name] = json.loads(fields[name]) if fields[name] else None
    return JobRecord.model_validate({name: fields[name] for name in JobRecord.model_fields})


def _end(outcome: JobOutcome) -> dict[str, Any]:
    return {
        "state": outcome.state.value,
        "outcome": outcome.model_dump_json(),
        "ended_at": time.time(),
        "claim": None,
    }


def _say(connection: sa.Connection, job_id: str, text: str) -> None:
    connection.execute(sa.insert(log).values(job_id=job_id, time=time.time(), text=text))


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))

"""How a job stands in DBOS: a workflow for its first half and one for its second, each in a queue of its own.

The first half (read, separate) goes through a queue that lets one job through at a time, the second (enhance,
align, publish) through one that lets several; so job k+1 separates while job k is enhanced, and in both the
job with the best priority is next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from engine.queue.records import Priority

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions

APPLICATION = "stemfix"
#: Raised by hand when the workflows change so much that one begun before can't go on.
APPLICATION_VERSION = "1"

SEPARATE = "separate"
ENHANCE = "enhance"

#: Room between two priorities for those that go behind their equals.
_STEP = 1000


def workflow_id(job_id: str, half: str) -> str:
    """The id of a job's half in DBOS."""
    return f"{job_id}.{half}"


def options(job_id: str, half: str, priority: Priority) -> EnqueueOptions:
    """What DBOS is told when a half of a job is queued."""
    return {
        "workflow_name": half,
        "queue_name": half,
        "workflow_id": workflow_id(job_id, half),
        "priority": int(priority) * _STEP,
    }


def client(database: sa.Engine) -> DBOSClient:
    """A way to enqueue from outside the engine."""
    from dbos import DBOSClient, DBOSPortableJSONSerializer

    return DBOSClient(
        system_database_engine=database,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
        lazy=True,
    )


def enqueue(
    dbos: DBOSClient, connection: sa.Connection, job_id: str, priority: Priority, created_at: float
) -> None:
    """Queue a new job within the caller's transaction; `created_at` is in seconds since the epoch."""
    dbos.enqueue_in_transaction(connection, options(job_id, SEPARATE, priority), job_id)
    # Among equals DBOS takes the earliest first, and on SQLite it notes down whole seconds.
    workflows = _workflows(connection.engine)
    connection.execute(
        sa.update(workflows)
        .where(workflows.c.workflow_uuid == workflow_id(job_id, SEPARATE))
        .values(created_at=int(created_at * 1000))
    )


def forget(database: sa.Engine, job_ids: Sequence[str]) -> None:
    """Remove all that DBOS knows of these jobs; what is queued of them never runs."""
    if not job_ids:
        return
    dbos = client(database)
    for start in range(0, len(job_ids), _STEP):
        some = job_ids[start : start + _STEP]
        dbos.delete_workflows([workflow_id(job_id, half) for job_id in some for half in (SEPARATE, ENHANCE)])


def move_back(database: sa.Engine, job_ids: Sequence[str]) -> None:
    """Let jobs that were running when the engine died go behind the others of their priority."""
    workflows = _workflows(database)
    halves = [workflow_id(job_id, half) for job_id in job_ids for half in (SEPARATE, ENHANCE)]
    with database.begin() as connection:
        connection.execute(
            sa.update(workflows)
            .where(workflows.c.workflow_uuid.in_(halves), workflows.c.status == "PENDING")
            .values(priority=workflows.c.priority + 1)
        )


def begun(database: sa.Engine, executor: str) -> dict[str, str]:
    """The halves that an engine is said to be at: their ids in DBOS, with their jobs' ids."""
    workflows = _workflows(database)
    query = sa.select(workflows.c.workflow_uuid).where(
        workflows.c.status == "PENDING", workflows.c.executor_id == executor
    )
    with database.connect() as connection:
        return {half: half.rpartition(".")[0] for half in connection.execute(query).scalars()}


def claimed(database: sa.Engine, executor: str, queue_name: str) -> int:
    """How many halves an engine has taken from a queue and not ended, by what the database says."""
    workflows = _workflows(database)
    query = sa.select(sa.func.count()).where(
        workflows.c.status == "PENDING",
        workflows.c.executor_id == executor,
        workflows.c.queue_name == queue_name,
    )
    with database.connect() as connection:
        return int(connection.execute(query).scalar_one())


def resume(database: sa.Engine, half_id: str) -> None:
    """Queue a half again that DBOS takes for running though nobody is at it."""
    client(database).resume_workflow(half_id, queue_name=half_id.rpartition(".")[2])


def _workflows(database: sa.Engine) -> sa.TableClause:
    """DBOS's own table, for the little that it has no function for."""
    names = ("workflow_uuid", "status", "executor_id", "priority", "created_at", "queue_name")
    schema = None if database.dialect.name == "sqlite" else "dbos"
    return sa.table("workflow_status", *map(sa.column, names), schema=schema)

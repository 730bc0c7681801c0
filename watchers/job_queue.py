"""JobQueue: the part of the queue's client that watching needs."""

from __future__ import annotations

from typing import Protocol

from engine.job import JobSpec
from engine.queue.records import JobRecord, Priority


class JobQueue(Protocol):
    """See `engine.queue.client.QueueClient`. Several threads use it at once."""

    def submit(self, spec: JobSpec, *, priority: Priority, client: str, job_id: str | None = None) -> str:
        """Queue a job once: with an id that is taken nothing happens."""
        ...

    def get(self, job_id: str) -> JobRecord | None:
        """What is known of a job."""
        ...

    def jobs(self, *, limit: int = 100) -> list[JobRecord]:
        """The newest jobs."""
        ...

    def cancel(self, job_id: str) -> bool:
        """Stop a job."""
        ...

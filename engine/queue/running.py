"""RunningJob: a job in the engine's hands."""

from __future__ import annotations

from collections.abc import Callable

from engine.pipeline import Job
from engine.queue.reporter import JobReporter
from engine.workspace import Workspace


class RunningJob:
    """A job that is being worked on.

    Args:
        reporter: its progress; knows its record.
        make: makes its steps when they are needed first.
    """

    def __init__(self, reporter: JobReporter, make: Callable[[], Job]) -> None:
        self.reporter = reporter
        self.record = reporter.record
        self.id = self.record.job_id
        self._make = make
        self._job: Job | None = None

    @property
    def job(self) -> Job:
        """Its steps; making them checks the source, the preset and the model. Raises StemfixError."""
        if self._job is None:
            self._job = self._make()
            self.reporter.audio_s = (self._job.stop - self._job.start) / self._job.info.sample_rate
        return self._job

    def workspace(self, first: bool) -> Workspace:
        """Its work folder, there until the job has ended; the `first` time all its space must be free."""
        job = self.job
        return Workspace(job.spec.out_dir, job.name, job.disk_bytes if first else 0, token=self.id)

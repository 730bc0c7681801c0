"""RoundTrip: stems of renders in a watched folder go back into the project that is open in REAPER."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Protocol

from daw_bridge.reaper.connection import connected
from daw_bridge.reaper.live import projects
from daw_bridge.reaper.render import import_render, time_reference
from daw_bridge.reaper.result import load_result
from engine.errors import StemfixError
from engine.queue.records import JobRecord, JobState

#: Between two looks at the queue, and how long REAPER is asked in vain.
_LOOK_S, _PATIENCE_S = 2.0, 3600.0

Which = Literal["project", "any"]


class EndedJobs(Protocol):
    """The part of the queue's client that is needed."""

    def ended(self, limit: int = 100) -> list[JobRecord]:
        """The last results, the last one first."""
        ...


class RoundTrip:
    """Watches the queue for jobs of watched folders that end from now on.

    Args:
        queue: whose jobs.
        which: renders that lie below the open project's folder, or any.
        port: of stemfix's server in REAPER.
        say: told one line per job that was brought in, or could not be.
    """

    def __init__(
        self,
        queue: EndedJobs,
        which: Which,
        port: int,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._queue = queue
        self._which = which
        self._port = port
        self._say = say
        self._clock = clock
        self._since = clock()
        self._seen: set[str] = set()
        self._waiting: dict[str, tuple[Path, float]] = {}

    def run(self, stop: threading.Event) -> None:
        """Look every two seconds until `stop` is set."""
        while not stop.wait(_LOOK_S):
            self.look()

    def look(self) -> None:
        """Bring in what is done."""
        for record in self._queue.ended(limit=100):
            folder = record.outcome.folder if record.outcome else None
            is_new = record.job_id not in self._seen and (record.ended_at or 0.0) >= self._since
            if is_new and record.client == "watch" and record.state is JobState.DONE and folder:
                self._seen.add(record.job_id)
                self._waiting[record.job_id] = (Path(folder), self._clock() + _PATIENCE_S)
        for job_id, (results, until) in list(self._waiting.items()):
            try:
                said = self._bring_in(results)
            except _NotYetError as error:
                if self._clock() < until:
                    continue
                how = f"stemfix reaper import {job_id} --at-time-reference"
                said = f"{error.what} Bring the stems in with: {how}"
            except StemfixError as error:
                said = f"{error.what} {error.remedy}"
            del self._waiting[job_id]
            if said:
                self._say(f"{job_id}: {said}")

    def _bring_in(self, folder: Path) -> str:
        result = load_result(folder)
        if time_reference(result) is None:
            return ""
        with ExitStack() as stack:
            try:
                api = stack.enter_context(connected(self._port))
            except StemfixError as error:
                raise _NotYetError(error.what) from error
            if self._which == "project" and not _is_below(result.source, projects(api)[0].path):
                raise _NotYetError(f"{result.source} does not lie in the folder of the open project.")
            position = import_render(api, result)
        return f"The stems of {result.source.name} are in the open project at {position:.3f} s."


class _NotYetError(StemfixError):
    """It may work later."""


def _is_below(file: Path, project: Any) -> bool:
    if not project:
        return False
    folder = os.path.realpath(Path(str(project)).parent)
    return Path(os.path.realpath(file)).is_relative_to(folder)

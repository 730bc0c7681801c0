"""QueueRunner: the worker inside the engine process, which takes the queue up where its last one died."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from engine.models import ModelProvider
from engine.queue import schedule
from engine.queue.bell import Bell
from engine.queue.changes import Changes
from engine.queue.database import database_errors, open_database
from engine.queue.records import JobRecord
from engine.queue.settings import QueueSettings
from engine.queue.store import JobStore
from engine.queue.trial import AVAILABLE, Trial
from engine.queue.work import MAX_STARTS, Work
from engine.workspace import discard_job_folder

logger = logging.getLogger(__name__)

#: Seconds between two looks at the database: while there is work, and while there is none.
_BUSY_S, _IDLE_S = 0.02, 0.1
#: So long after the last change there may be more to come.
_LINGER_S = 1.0
#: Seconds after which a queue is asked in any case.
_FALLBACK_S = 5.0
#: Seconds between two rounds of tidying up, and how old an end must be for it.
_TIDY_S = 2.0
#: Ended jobs tidied up in one round.
_TIDY_JOBS = 200
#: Seconds that DBOS may take to queue again what was begun.
_RECOVERY_S = 10.0
#: Seconds between two looks for orphans: a half that is said to run but twice is in nobody's hands.
_ORPHAN_S = 5.0


class QueueRunner:
    """Carries out jobs until it is stopped. There can be one per process.

    Args:
        settings: the database, and how much to do at a time.
        models: where models come from; a warm provider keeps them loaded.
        on_change: told of every change of a job, from several threads; it must return quickly.
    """

    def __init__(
        self,
        settings: QueueSettings,
        models: ModelProvider,
        on_change: Callable[[JobRecord], None] | None = None,
    ) -> None:
        self._settings = settings
        self._models = models
        self._on_change = on_change or (lambda record: None)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._bells: list[Bell] = []
        self._trial: Trial | None = None
        #: Halves that nobody was at when this was looked at last.
        self._unattended: set[str] = set()

    def start(self) -> None:
        """Take up what the last engine left behind, then what is queued. Raises StemfixError."""
        from dbos import DBOS

        database = open_database(self._settings.url, every_commit_survives_power_loss=False)
        try:
            with database_errors(database):
                self._launch(database)
        except BaseException:
            DBOS.destroy(destroy_registry=True)
            database.dispose()
            raise

    def stop(self, timeout_s: float = 60.0) -> None:
        """Leave every job where it is, to be resumed by the next start; takes up to a segment's time."""
        from dbos import DBOS

        self._stopping.set()
        for bell in self._bells:
            bell.stop()
        until = time.monotonic() + timeout_s
        while self._work.running and time.monotonic() < until:
            time.sleep(0.01)
        for thread in self._threads:
            thread.join()
        DBOS.destroy(destroy_registry=True)
        if self._trial is not None:
            self._trial.close()
        self._store.release(self._settings.executor)
        self._store.database.dispose()

    def active(self) -> list[JobRecord]:
        """The jobs that this engine is at, as they are now."""
        return [running.reporter.record for running in list(self._work.running.values())]

    def _launch(self, database: sa.Engine) -> None:
        from dbos import DBOS, DBOSPortableJSONSerializer

        self._store = JobStore(database)
        schedule.move_back(database, self._store.release(self._settings.executor))
        if AVAILABLE and self._store.any_suspects(MAX_STARTS):
            database.dispose()  # no connection may be in both processes
            self._trial = Trial(self._models)
        self._work = Work(
            self._store, self._settings, self._models, self._stopping, self._on_change, self._trial
        )
        dbos = DBOS(
            config={
                "name": schedule.APPLICATION,
                "system_database_url": self._settings.url,
                "system_database_engine": database,
                "application_version": schedule.APPLICATION_VERSION,
                "executor_id": self._settings.executor,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "ERROR",
            }
        )
        # How often a job may die is counted per step and not here: see Work.
        for name, body in (
            (schedule.SEPARATE, self._work.separate),
            (schedule.ENHANCE, self._work.enhance),
        ):
            DBOS.workflow(name=name, max_recovery_attempts=None)(_plain_function(body))
        DBOS.listen_queues([])  # our own threads do, see _listen
        _calm(dbos)
        DBOS.launch()
        self._wait_for_recovery(database)
        self._listen(dbos, schedule.SEPARATE, 1)
        self._listen(dbos, schedule.ENHANCE, self._settings.cpu_workers)
        self._begin(self._watch, "queue-watch")

    def _wait_for_recovery(self, database: sa.Engine) -> None:
        """DBOS queues again in the background what was begun; nothing else may overtake that."""
        until = time.monotonic() + _RECOVERY_S
        while schedule.begun(database, self._settings.executor) and time.monotonic() < until:
            time.sleep(0.01)

    def _listen(self, dbos: Any, queue_name: str, at_once: int) -> None:
        """Take jobs from a queue as soon as there are any.

        DBOS's own listeners look into the database at a fixed rate: too seldom for a musician who waits, or
        too often for a computer that is idle. This runs the same loop, but rings when there is something.
        """
        from dbos import DBOS
        from dbos._queue import queue_worker_thread

        queue = DBOS.register_queue(
            queue_name,
            worker_concurrency=at_once,
            polling_interval_sec=_FALLBACK_S,
            on_conflict="always_update",
        )
        queue.database_backed_queue = False  # its settings need not be read again each time

        def settled() -> bool:
            # DBOS counts what runs here to keep to `at_once`, but a job counts only some time after it was
            # taken: asked again before that, it would take one more.
            try:
                taken = schedule.claimed(self._store.database, self._settings.executor, queue_name)
            except sa.exc.OperationalError:
                return True  # the database is full or gone, which the round itself will notice
            return taken <= int(dbos._active_workflows_set.count_for_queue(queue_name))

        bell = Bell(settled)
        self._bells.append(bell)
        self._begin(lambda: queue_worker_thread(bell, dbos, queue), f"queue-{queue_name}")

    def _begin(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _watch(self) -> None:
        changes = Changes(self._settings.url)
        changed_at = looked_at = time.monotonic()
        tidied_at = 0.0
        busy = changed = False
        while not self._stopping.wait(_BUSY_S if busy else _IDLE_S):
            now = time.monotonic()
            try:
                # Twice, as a job that ends makes room only just after it has written that.
                ring, changed = changed, changes.any()
                if changed:
                    changed_at = now
                    self._pass_on_cancels()
                if changed or ring:
                    self._ring()
                busy = bool(self._work.running) or now - changed_at < _LINGER_S
                if now - tidied_at > _TIDY_S:
                    tidied_at = now
                    self._tidy_up()
                if now - looked_at > _ORPHAN_S:
                    looked_at = now
                    self._adopt_orphans()
            except Exception:
                logger.exception("The queue's watch goes on after an error")
                self._stopping.wait(1.0)
        changes.close()

    def _ring(self) -> None:
        for bell in self._bells:
            bell.ring()

    def _pass_on_cancels(self) -> None:
        running = dict(self._work.running)
        if running:
            for job_id in self._store.cancelled_among(running):
                running[job_id].reporter.cancel()

    def _tidy_up(self) -> None:
        """Remove what is left of ended jobs."""
        ended = self._store.untidy(time.time() - _TIDY_S, _TIDY_JOBS)
        done = [record for record in ended if record.job_id not in self._work.running]
        for record in done:
            discard_job_folder(record.spec.out_dir, record.spec.source, record.job_id)
        job_ids = [record.job_id for record in done]
        schedule.forget(self._store.database, job_ids)
        self._store.tidied(job_ids)

    def _adopt_orphans(self) -> None:
        """Queue again what was dropped while the database was full or out of reach."""
        begun = schedule.begun(self._store.database, self._settings.executor)
        unattended = {half for half, job_id in begun.items() if job_id not in self._work.running}
        for half in unattended & self._unattended:
            schedule.resume(self._store.database, half)
        self._unattended = unattended


def _calm(dbos: Any) -> None:
    """Let DBOS look seldom after what is not used here, or an idle engine takes 0.4 % of a core for it.

    That is its internal queue and its delayed workflows, at which it looks once a second.
    """
    import dbos._workflow_commands as commands

    commands._BACKGROUND_JOBS_INTERVAL_SEC = _FALLBACK_S
    dbos._registry.get_internal_queue()._polling_interval_sec = _FALLBACK_S


def _plain_function(method: Callable[..., None]) -> Callable[..., None]:
    """DBOS tells functions from methods by their attributes; this has none of a method's."""

    def function(*arguments: Any) -> None:
        method(*arguments)

    return function

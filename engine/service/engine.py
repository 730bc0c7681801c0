"""run_engine: one process that takes jobs from the queue and the spool until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from engine.config import EngineConfig
from engine.errors import OutputError, StemfixError
from engine.models import ModelProvider
from engine.paths import data_dir
from engine.queue.records import JobRecord, JobState
from engine.service.heartbeat import Heart
from engine.service.log import log_path, log_to_file, stop_log
from engine.service.warm import IdleModels
from engine.spool.client import heartbeat_path, read_heartbeat
from engine.spool.intake import Intake
from engine.spool.private_files import ready_data_dir

if TYPE_CHECKING:
    from engine.queue.client import QueueClient
    from engine.queue.runner import QueueRunner

#: How long a stop may take; a native call that does not return by then ends with the process.
STOP_S = 2.5
#: One that stops removes its heartbeat a moment before it lets go of its lock.
_STOPPING_S = 1.0
_LOOK_EVERY_S = 0.5
_COUNT_EVERY_S = 2.0

_log = logging.getLogger(__name__)


class EngineRunningError(StemfixError):
    """Another engine works on this data folder."""


def run_engine(
    settings: EngineConfig | None = None,
    *,
    models: ModelProvider | None = None,
    stop: threading.Event | None = None,
) -> int:
    """Serve jobs until `stop` is set or, in the main thread, SIGTERM or SIGINT comes; the exit status.

    Running jobs are left as they are after their last finished step; the next engine goes on with them.
    In the main thread the process ends within about 3 s after a stop, even from within a native call.

    Args:
        settings: the configuration's `[engine]`.
        models: where models come from; the installed ones by default.
        stop: set it to stop the engine.

    Raises:
        EngineRunningError: there is another one.
        StemfixError: the data folder or the queue can't be used. Details are in the log.
    """
    settings, stop = settings or EngineConfig(), stop or threading.Event()
    with ExitStack() as stack:
        stack.enter_context(_only_engine())
        handler = log_to_file()
        stack.callback(stop_log, handler)
        stack.enter_context(_stopped_by_signals(stop))
        try:
            _serve(settings, models, stop)
        except StemfixError as error:
            _log.error("The engine stopped: %s", error, exc_info=True)
            raise
        except Exception as error:
            _log.exception("The engine stopped")
            raise StemfixError(
                f"The engine stopped: {type(error).__name__}: {error}.", f"See the end of {log_path()}."
            ) from error
    return 0


def _serve(settings: EngineConfig, models: ModelProvider | None, stop: threading.Event) -> None:
    heart = Heart(settings.device)
    with ExitStack() as stack:
        heart.start()
        stack.callback(heart.stop)
        _log.info("Engine %s starts on %s", os.getpid(), data_dir())

        from engine.queue.client import QueueClient
        from engine.queue.runner import QueueRunner
        from engine.queue.settings import QueueSettings

        given = {"url": settings.queue_url, "cpu_workers": settings.cpu_workers, "device": settings.device}
        queue = QueueClient(settings.queue_url)
        stack.callback(queue.close)
        intake = Intake(queue)
        warm = IdleModels(models, settings.idle_minutes * 60)
        news = threading.Event()

        def changed(record: JobRecord) -> None:
            intake.changed(record)
            news.set()
            if record.state.ended:
                said = record.outcome.message if record.outcome else ""
                _log.info("Job %s: %s %s", record.job_id, record.state.value, said)

        runner = QueueRunner(
            QueueSettings(**{key: value for key, value in given.items() if value is not None}), warm, changed
        )
        runner.start()
        stack.callback(runner.stop)
        intake.start()
        stack.callback(intake.stop)
        facts = _Facts(queue, runner, warm)
        heart.become("ready", facts.current)
        _log.info("Ready")
        while not stop.wait(_LOOK_EVERY_S):
            facts.look(news)
            warm.look(busy=bool(facts.running))
        _log.info("Stopping")
        heart.become("stopping")
    _log.info("Stopped")


class _Facts:
    """What the heartbeat says of the work; gathered apart from it, so that no slow database holds it up."""

    def __init__(self, queue: QueueClient, runner: QueueRunner, warm: IdleModels) -> None:
        self._queue, self._runner, self._warm = queue, runner, warm
        self._counts: dict[JobState, int] = {}
        self._counted_at = 0.0
        self.running: list[str] = []

    def look(self, news: threading.Event) -> None:
        """Ask the runner what it is at and, where there may be news, the queue how many jobs it holds."""
        self.running = [record.job_id for record in self._runner.active()]
        if news.is_set() or time.monotonic() - self._counted_at > _COUNT_EVERY_S:
            news.clear()
            self._counted_at = time.monotonic()
            with suppress(Exception):  # the next count will do
                self._counts = self._queue.counts()

    def current(self) -> dict[str, Any]:
        """Fields of the heartbeat."""
        facts = {"running": self.running, "queue": self._counts, "model": self._warm.loaded}
        if self._warm.device:
            facts["device"] = self._warm.device
        return {**facts, "warm": self._warm.loaded is not None}


@contextmanager
def _only_engine() -> Iterator[None]:
    """Hold the data folder's engine lock. Raises EngineRunningError where another process has it."""
    folder = ready_data_dir()
    lock = FileLock(folder / "engine.lock", mode=0o600)
    try:
        lock.acquire(timeout=_STOPPING_S)
    except Timeout:
        beat = read_heartbeat()
        which = f" as process {beat.pid}" if beat else ""
        raise EngineRunningError(
            f"An engine is running{which} on {folder}.",
            f"Use that one, or stop it first{f' with: kill {beat.pid}' if beat and os.name != 'nt' else ''}.",
        ) from None
    except OSError as error:
        raise OutputError(f"{lock.lock_file} can't be used: {error}.", "Check the data folder.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """In the main thread: SIGTERM, SIGINT or a logoff sets `stop`; a second one ends the process, and so does
    a stop that hangs.

    Ending at any moment is safe: whatever is visible is whole, and the queue goes on where it was.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def wanted(number: int, frame: object) -> None:
        if stop.is_set():
            _end_now()
        stop.set()

    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # One that is ignored was meant to be, as under nohup.
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, wanted) for number in heeded}
    returned = threading.Event()

    def watch() -> None:
        stop.wait()
        if not returned.wait(STOP_S):
            _log.warning("A call does not return; ending without it")
            _end_now()

    threading.Thread(target=watch, name="deadline", daemon=True).start()
    try:
        yield
        if _others_alive():
            _end_now()
    finally:
        returned.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _others_alive() -> bool:
    """Whether threads are left that Python would wait for at its end."""
    return any(
        thread.is_alive() and not thread.daemon
        for thread in threading.enumerate()
        if thread is not threading.main_thread()
    )


def _end_now() -> None:
    with suppress(OSError):
        heartbeat_path().unlink()
    logging.shutdown()
    os._exit(0)

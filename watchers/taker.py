"""Taker: turns a complete file into a job, or links it to the job that had the same content before."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from engine.job import JobSpec
from engine.publish import MANIFEST
from engine.queue.records import JobState, Priority
from watchers.complete import Signature
from watchers.job_queue import JobQueue
from watchers.ledger import OPEN, SERVED, Entry, FileState, Ledger
from watchers.notes import note_same, remove_notes
from watchers.settings import WatchSettings, settings_digest

CLIENT = "watch"
#: Seconds for which a preset is not read again.
_SPEC_S = 10.0


class Taker:
    """For one folder. All folders share `lock`, so that of two files with one content one is the first."""

    def __init__(
        self,
        settings: WatchSettings,
        ledger: Ledger,
        queue: JobQueue,
        lock: threading.RLock,
        clock: Callable[[], float],
        stop: threading.Event,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._queue = queue
        self._lock = lock
        self._clock = clock
        self._stop = stop
        self._spec: tuple[float, JobSpec, str] | None = None

    def take(self, path: str, signature: Signature) -> Entry | None:
        """See to it that the file gets its results once; None where it changed meanwhile, or on `stop`.

        Its entry is in the ledger before its job is in the queue, so nothing is lost or done twice if the
        process is killed in between. Raises StemfixError, or what the queue raises: then `submit` the entry.
        """
        digest = self._digest(path)
        found = Signature.at(path)
        if digest is None or found is None or not found.same_content(signature):
            return None
        spec, settings = self._base()
        entry = Entry(
            path=path,
            folder=str(self._settings.folder),
            signature=found,
            state=FileState.CLAIMED,
            digest=digest,
            settings=settings,
        )
        with self._lock:
            linked = self._linked(entry)
            if linked is not None:
                remove_notes(path)
                if linked.same_as and linked.state not in OPEN:
                    note_same(path, linked.same_as, linked.results)
                return self._ledger.put(linked)
            remove_notes(path)
            entry = self._ledger.put(replace(entry, job_id=_new_job_id()))
            return self._submit(entry, spec)

    def submit(self, entry: Entry) -> Entry:
        """Hand over a file whose entry is written; again, if it is not known whether it was."""
        with self._lock:
            return self._submit(entry, self._base()[0])

    def withdraw(self, entry: Entry) -> None:
        """The file went away or changed before its job was done: forget it.

        Its job is cancelled unless it has read the file already. Other files that shared the job are
        forgotten too; they are found again.
        """
        with self._lock:
            if entry.same_as:
                self._ledger.forget(entry.path)
                return
            record = self._queue.get(entry.job_id) if entry.state in OPEN else None
            if record is not None and not record.state.ended:
                waiting = record.state is JobState.QUEUED
                if waiting or record.progress is None or record.progress.stage == "read":
                    self._queue.cancel(entry.job_id)
            for sharer in self._ledger.of_job(entry.job_id):
                if sharer.state in OPEN:
                    self._ledger.forget(sharer.path)

    def _submit(self, entry: Entry, base: JobSpec) -> Entry:
        source = Path(entry.path)
        spec = base.model_copy(update={"source": source, "out_dir": self._settings.out_dir(source)})
        self._queue.submit(spec, priority=Priority.WATCHED, client=CLIENT, job_id=entry.job_id)
        return self._ledger.put(replace(entry, state=FileState.QUEUED))

    def _linked(self, entry: Entry) -> Entry | None:
        """The entry with the results or the job that this content and these settings have already."""
        before = self._ledger.entry(entry.path)
        candidates = self._ledger.twins(entry.path, entry.digest, entry.settings)
        if before is not None and before.state in SERVED:
            same = (before.digest, before.settings) == (entry.digest, entry.settings)
            candidates = [before, *candidates] if same else candidates
        for twin in candidates:
            original = twin.same_as or twin.path
            linked = replace(
                entry,
                state=twin.state,
                job_id=twin.job_id,
                results=twin.results,
                same_as="" if original == entry.path else original,
                message=twin.message,
            )
            if twin.state not in OPEN:
                if os.path.exists(os.path.join(twin.results, MANIFEST)):
                    moves = self._settings.when_done == "move"
                    return replace(linked, state=FileState.FINISHED if moves else FileState.DONE)
            elif twin.path == entry.path or _is_unchanged(twin):
                return linked
            else:
                self.withdraw(twin)  # renamed before its turn: its job would not find it
        return None

    def _base(self) -> tuple[JobSpec, str]:
        now = self._clock()
        if self._spec is None or now - self._spec[0] > _SPEC_S:
            spec = self._settings.base_spec()
            self._spec = now, spec, settings_digest(spec)
        return self._spec[1:]

    def _digest(self, path: str) -> str | None:
        """SHA-256 of the file's bytes; None where it can't be read or watching is to stop."""
        digest = hashlib.sha256()
        try:
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    if self._stop.is_set():
                        return None
                    digest.update(block)
        except OSError:
            return None
        return digest.hexdigest()


def _is_unchanged(entry: Entry) -> bool:
    now = Signature.at(entry.path)
    return now is not None and now.same_content(entry.signature)


def _new_job_id() -> str:
    """An id in the queue's own style: it sorts by time."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(4)}"

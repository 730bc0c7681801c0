"""Follower: follows the jobs of one folder to their ends, and then deals with the sources."""

from __future__ import annotations

import errno
import itertools
import logging
import os
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from engine.errors import StemfixError
from engine.files import output_errors, publish_file
from engine.job import Manifest
from engine.publish import MANIFEST, find_finished
from engine.queue.records import JobRecord, JobState
from watchers.complete import Signature
from watchers.job_queue import JobQueue
from watchers.ledger import Entry, FileState, Ledger
from watchers.notes import note_failure, note_same, remove_notes
from watchers.settings import DONE, WatchSettings
from watchers.taker import Taker

log = logging.getLogger(__name__)

#: Jobs end about in the order in which they were taken: past so many that have not, only a few others are
#: asked for in each round.
_UNENDED = 4


class Follower:
    """For one folder. What the queue raises is passed on."""

    def __init__(self, settings: WatchSettings, ledger: Ledger, queue: JobQueue, taker: Taker) -> None:
        self._settings = settings
        self._folder = str(settings.folder)
        self._ledger = ledger
        self._queue = queue
        self._taker = taker
        #: The last job that was asked for out of turn.
        self._asked = ""
        #: The last source that could not be moved.
        self._stuck = ""
        #: What happened last, for the user.
        self.message = ""

    def follow(self) -> bool:
        """Ask how jobs are doing. True where a file became free that a search would find again."""
        freed = self._submit_claimed()
        unended = 0
        waiting: list[str] = []
        for job_id in self._ledger.open_jobs(self._folder):
            if unended >= _UNENDED:
                waiting.append(job_id)
                continue
            ended, found_free = self._ask(job_id)
            unended += not ended
            freed |= found_free
        later = [job_id for job_id in waiting if job_id > self._asked]
        for self._asked in [*later, *waiting][: min(_UNENDED, len(waiting))]:
            freed |= self._ask(self._asked)[1]
        return freed

    def look_after(self) -> None:
        """What needs no haste: move sources that could not be moved yet; find jobs that the user retried."""
        unmoved = list(self._ledger.entries(self._folder, FileState.FINISHED))
        later = [entry for entry in unmoved if entry.path > self._stuck]
        for entry in (later + unmoved)[: len(unmoved)]:
            if not self.move(entry):  # what stops one may stop all, and each try reads all its results
                self._stuck = entry.path
                break
        counts = self._ledger.counts(self._folder)
        if counts[FileState.FAILED] + counts[FileState.CANCELLED] == 0:
            return
        for record in self._queue.jobs(limit=50):
            for entry in self._mine(record.retry_of) if record.retry_of else []:
                if entry.state in (FileState.FAILED, FileState.CANCELLED):
                    self._ledger.put(replace(entry, state=FileState.QUEUED, job_id=record.job_id))

    def _submit_claimed(self) -> bool:
        """Hand over what was claimed when the process, or the queue, broke off."""
        freed = False
        for entry in list(self._ledger.entries(self._folder, FileState.CLAIMED)):
            found = Signature.at(entry.path)
            if found is not None and found.same_content(entry.signature):
                self._taker.submit(entry)
            else:
                self._taker.withdraw(entry)
                freed = True
        return freed

    def _mine(self, job_id: str) -> list[Entry]:
        return [entry for entry in self._ledger.of_job(job_id) if entry.folder == self._folder]

    def _ask(self, job_id: str) -> tuple[bool, bool]:
        """Whether the job has ended, and whether files became free by that."""
        record = self._queue.get(job_id)
        if record is not None and not record.state.ended:
            return False, False
        freed = False
        for entry in self._mine(job_id):
            if record is None or (record.outcome is None and record.state is JobState.DONE):
                # The queue was cleared, or is another one: the job finds its results if it had been done.
                self._ledger.forget(entry.path)
                freed = True
            elif record.state is JobState.DONE:
                self._finish(entry, record)
            else:
                freed |= self._fail(entry, record)
        return True, freed

    def _finish(self, entry: Entry, record: JobRecord) -> None:
        outcome = record.outcome
        assert outcome is not None
        results = outcome.folder or ""
        remove_notes(entry.path)
        if entry.same_as:
            note_same(entry.path, entry.same_as, results)
        moves = self._settings.when_done == "move"
        state = FileState.FINISHED if moves else FileState.DONE
        entry = self._ledger.put(replace(entry, state=state, results=results, message=outcome.message))
        self._say(logging.INFO, f"{entry.path}: done, in {results}")
        if moves:
            self.move(entry)

    def _fail(self, entry: Entry, record: JobRecord) -> bool:
        """Note beside the file why its job failed; True where the file is not the one that failed."""
        found = Signature.at(entry.path)
        if (
            found is None
            or not found.same_content(entry.signature)
            or (entry.same_as and not os.path.lexists(record.spec.source))
        ):
            self._ledger.forget(entry.path)
            return True
        reason = record.outcome.message if record.outcome else ""
        if record.state is JobState.CANCELLED:
            self._ledger.put(replace(entry, state=FileState.CANCELLED, message="The job was cancelled."))
            self._say(logging.INFO, f"{entry.path}: its job was cancelled.")
            return False
        reason = reason or "The job failed, and nothing is known of the reason."
        self._ledger.put(replace(entry, state=FileState.FAILED, message=reason))
        noted = note_failure(entry.path, reason, entry.job_id)
        self._say(
            logging.WARNING, f"{entry.path}: {reason}" + ("" if noted else " (No note can be put beside it.)")
        )
        return False

    def move(self, entry: Entry) -> bool:
        """Move the source of a finished job to `done`, if its results hold; never onto another file.

        False where that did not work; it is tried again.
        """
        source = Path(entry.path)
        found = Signature.at(source)
        if found is None or not found.same_content(entry.signature):
            self._ledger.put(replace(entry, state=FileState.DONE))
            return True
        try:
            if not results_hold(entry.results):
                self._say(logging.WARNING, f"{source} stays: its results in {entry.results} are not whole.")
                return False
            target = _move_beside(source, self._settings.folder / DONE, self._settings.folder)
        except (StemfixError, OSError) as error:
            self._say(logging.WARNING, f"{source} stays: {error}")
            return False
        remove_notes(entry.path)
        self._ledger.put(replace(entry, state=FileState.DONE, message=f"Moved to {target}."))
        return True

    def _say(self, level: int, message: str) -> None:
        if message != self.message:  # what is tried again and again is said once
            self.message = message
            log.log(level, "%s", message)


def results_hold(results: str) -> bool:
    """Whether the folder has its manifest and every file in it has the hash that the manifest says."""
    try:
        manifest = Manifest.model_validate_json(Path(results, MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return False
    return find_finished(Path(results).parent, manifest.name, manifest.job_key) is not None


def _move_beside(source: Path, done: Path, folder: Path) -> Path:
    """Rename `source` into `done`, below the folders that it has in `folder`, under the first free name."""
    target_folder = done / source.parent.relative_to(folder)
    with output_errors(target_folder):
        target_folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        ending = "" if number == 1 else f"-{number}"
        target = target_folder / f"{source.stem}{ending}{source.suffix}"
        if os.path.lexists(target):
            continue
        try:
            publish_file(source, target)
        except StemfixError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EEXIST:
                continue
            raise
        return target
    raise AssertionError

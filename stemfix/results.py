"""result_of: what a job of the queue delivered, for the DAWs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError

if TYPE_CHECKING:
    from daw_bridge.reaper.result import Result


def result_of(job: str) -> tuple[str, Result]:
    """The id and the result of the job whose id is or begins with `job`; or of a folder of results.

    Raises StemfixError where there is none, it is not done, or its files are not whole.
    """
    from daw_bridge.reaper.result import load_result
    from engine.publish import MANIFEST
    from stemfix.queue_access import open_queue

    folder = Path(job)
    if (folder / MANIFEST).is_file():
        return folder.name, load_result(folder)
    with open_queue() as queue:
        record = queue.find(job)
    outcome = record.outcome
    if outcome is None or outcome.folder is None:
        state = outcome.message if outcome and outcome.message else f"It is {record.state.value}."
        raise InputError(f"The job {record.job_id} has no stems. {state}", "See: stemfix jobs list")
    return record.job_id, load_result(Path(outcome.folder))

"""find_job: the folder of a finished job, named by its path or by its id in the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InputError, StemfixError

if TYPE_CHECKING:
    from engine.report.job_folder import JobFolder


def is_job_folder(path: Path) -> bool:
    """True for a result folder, or the manifest in one."""
    from engine.publish import MANIFEST

    return (path / MANIFEST).is_file() or (path.name == MANIFEST and path.is_file())


def find_job(name: str) -> JobFolder:
    """The finished job at the path `name` or with the id that begins so. Raises StemfixError."""
    from engine.report.job_folder import JobFolder
    from stemfix.queue_access import open_queue

    path = Path(name)
    if is_job_folder(path) or path.exists() or "/" in name or "\\" in name:
        return JobFolder.open(path)
    try:
        with open_queue() as queue:
            record = queue.find(name)
    except StemfixError as error:
        raise InputError(
            f"'{name}' is no folder of results, and no job of the queue either ({error.what.rstrip('.')}).",
            "Name a folder that ends in .stemfix, or an id from 'stemfix jobs list'.",
        ) from error
    if record.outcome is None or record.outcome.folder is None:
        raise InputError(f"The job {record.job_id} has no results.", "See: stemfix jobs list")
    return JobFolder.open(Path(record.outcome.folder))

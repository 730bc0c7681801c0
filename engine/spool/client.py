"""The spool's client side: hand a job over, follow it, stop it, and see whether an engine is alive."""

from __future__ import annotations

import re
import secrets
import shutil
import socket
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

import psutil
from pydantic import BaseModel, ValidationError

from engine.errors import OptionError
from engine.files import output_errors
from engine.paths import data_dir
from engine.queue.records import JOB_ID_PATTERN
from engine.spool.models import EngineHeartbeat, SpoolJob, SpoolResult, SpoolStatus
from engine.spool.private_files import RefusedFileError, private_folder, read_private, write_private

Model = TypeVar("Model", bound=BaseModel)

JOB, STATUS, RESULT, CANCEL = "job.json", "status.json", "result.json", "cancel"
#: A job is a page of text; anything larger is refused.
LARGEST_JOB_BYTES = 1_000_000
_LARGEST_ANSWER_BYTES = 16_000_000
#: A heartbeat that is older than this comes from an engine that hangs or sleeps.
FRESH_S = 5.0
#: Clocks: the kernel rounds a process's start to a second, and so may the clock step by one.
_SAME_START_S = 2.5


def spool_dir() -> Path:
    """The folder that holds one folder per job."""
    return data_dir() / "spool"


def heartbeat_path() -> Path:
    """The engine's heartbeat file."""
    return data_dir() / "engine.json"


def new_job_id() -> str:
    """An id that no other job has; ids sort by the time they were made."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}-{secrets.token_hex(4)}"


def write_job(job: SpoolJob, job_id: str | None = None) -> str:
    """Hand a job over and return its id. An engine that runs takes it within 0.3 s, a later one at its start.

    Raises OptionError for an id that is not allowed or taken, OutputError where the spool can't be written.
    """
    job_id = job_id or new_job_id()
    folder = private_folder(_job_folder(job_id).parent) / job_id
    with output_errors(folder):
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise OptionError(f"There is a job '{job_id}' in the spool.", "Choose another id.") from None
        write_private(folder / JOB, job.model_dump_json(indent=1).encode())
    return job_id


def read_status(job_id: str) -> SpoolStatus | None:
    """Where the job stands; None until an engine took it. Raises OptionError for an id that can't be one."""
    return read_model(_job_folder(job_id) / STATUS, SpoolStatus)


def read_result(job_id: str) -> SpoolResult | None:
    """How the job ended; None before that. Raises OptionError for an id that can't be one."""
    return read_model(_job_folder(job_id) / RESULT, SpoolResult)


def request_cancel(job_id: str) -> None:
    """Ask for the job's end; it comes within about 2 s. Does nothing where the spool has no such job.

    Raises OptionError for an id that is not allowed, OutputError where the spool can't be written.
    """
    folder = _job_folder(job_id)
    if folder.is_dir():
        with output_errors(folder):
            (folder / CANCEL).touch(mode=0o600)


def remove_job(job_id: str) -> None:
    """Forget an ended job's files in the spool; what it delivered stays where it is."""
    shutil.rmtree(_job_folder(job_id), ignore_errors=True)


def read_heartbeat() -> EngineHeartbeat | None:
    """The last heartbeat, be the engine alive or not."""
    return read_model(heartbeat_path(), EngineHeartbeat)


def engine_alive() -> EngineHeartbeat | None:
    """The heartbeat of the engine, or None where no engine works on this data folder.

    An engine that was killed leaves its heartbeat behind; its process tells. One on another machine that
    shares the folder is judged by the age of its heartbeat.
    """
    beat = read_heartbeat()
    if beat is None:
        return None
    if beat.host != socket.gethostname():
        return beat if is_fresh(beat) else None
    try:
        process = psutil.Process(beat.pid)
        same = abs(process.create_time() - beat.process_started_at) < _SAME_START_S
        return beat if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def is_fresh(beat: EngineHeartbeat) -> bool:
    """Whether the engine wrote this heartbeat just now."""
    return abs(time.time() - beat.time) < FRESH_S


def read_model(path: Path, model: type[Model]) -> Model | None:
    """The model in a file; None where there is none or none that can be understood."""
    try:
        return model.model_validate_json(read_private(path, _LARGEST_ANSWER_BYTES))
    except (OSError, RefusedFileError, ValidationError):
        return None


def _job_folder(job_id: str) -> Path:
    if not re.fullmatch(JOB_ID_PATTERN, job_id):
        raise OptionError(
            f"'{job_id[:80]}' can't be a job's id.",
            "An id has up to 64 letters, digits, '-' and '_', and starts with a letter or a digit.",
        )
    return spool_dir() / job_id

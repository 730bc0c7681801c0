"""What the engine answers in a job's folder: the queue's record as a status, an outcome as a result."""

from __future__ import annotations

import time
from pathlib import Path

from engine.job import FileRecord, Manifest
from engine.progress import Stage
from engine.publish import MANIFEST
from engine.queue.records import JobOutcome, JobRecord, JobState
from engine.spool.client import read_model
from engine.spool.models import SpoolFile, SpoolResult, SpoolStatus

_DOING: dict[Stage, str] = {
    "read": "Reading the recording",
    "repair": "Repairing the recording",
    "separate": "Separating",
    "enhance": "Enhancing the stems",
    "align": "Proving that nothing moved",
    "publish": "Writing the files",
}
#: Of more than that a share tells a person more than a number.
_COUNTABLE = 20
_ENDED = {
    JobState.DONE: "Done.",
    JobState.FAILED: "The job failed.",
    JobState.CANCELLED: "Cancelled; nothing was written.",
    JobState.GAVE_UP: "The job was given up after it had ended the engine three times.",
}


def status_of(record: JobRecord) -> SpoolStatus:
    """The status of a job that waits or runs."""
    now, progress = time.time(), record.progress
    if record.state is JobState.QUEUED or progress is None:
        message = "Waiting for its turn." if record.state is JobState.QUEUED else "Starting."
        return SpoolStatus(job_id=record.job_id, state=record.state, message=message, time=now)
    counted = ""
    if progress.total > _COUNTABLE:
        counted = f" ({100 * progress.done // progress.total} %)"
    elif progress.total > 1:
        counted = f" ({progress.done} of {progress.total})"
    return SpoolStatus(
        job_id=record.job_id,
        state=record.state,
        stage=progress.stage,
        progress=min(max(progress.fraction, 0.0), 1.0),
        eta_s=progress.eta_s,
        speed_x_realtime=progress.speed_x_realtime,
        message=f"{_DOING[progress.stage]}{counted}.",
        time=now,
    )


def ended_status(job_id: str, outcome: JobOutcome) -> SpoolStatus:
    """The status of a job that ended."""
    return SpoolStatus(
        job_id=job_id,
        state=outcome.state,
        progress=1.0 if outcome.state is JobState.DONE else 0.0,
        message=outcome.message or _ENDED[outcome.state],
        time=time.time(),
    )


def result_of(job_id: str, outcome: JobOutcome) -> SpoolResult:
    """The result of a job that ended, with the files that its manifest names."""
    result = SpoolResult(
        job_id=job_id,
        state=outcome.state,
        message="" if outcome.state is JobState.DONE else outcome.message or _ENDED[outcome.state],
        exit_status=outcome.exit_status,
        folder=outcome.folder,
        already_done=outcome.already_done,
        verdict=outcome.verdict,
        null_rms_db=outcome.null_rms_db,
        notes=outcome.notes,
    )
    if outcome.folder is None:
        return result
    folder = Path(outcome.folder)
    manifest = read_model(folder / MANIFEST, Manifest)
    if manifest is None:
        return result
    found: list[tuple[str, FileRecord]] = [(stem.name, stem) for stem in manifest.stems]
    if manifest.mix is not None:
        found.append(("mix", manifest.mix))
    result.manifest = str(folder / MANIFEST)
    result.start_frame, result.stop_frame = manifest.source.start_frame, manifest.source.stop_frame
    result.files = [
        SpoolFile(
            name=name,
            path=str(folder / file.file),
            sha256=file.sha256,
            frames=file.frames,
            sample_rate=file.sample_rate,
            channels=file.channels,
        )
        for name, file in found
    ]
    return result

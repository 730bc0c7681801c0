"""Submit items of the open project as jobs, and remember which item each job is for."""

from __future__ import annotations

import json
from pathlib import Path

from daw_bridge.reaper.item import Item
from engine.errors import InputError, StemfixError
from engine.files import output_errors
from engine.paths import data_dir
from engine.processors.presets import load as load_preset
from engine.quality import quality
from engine.spool.client import new_job_id, write_job
from engine.spool.models import SpoolJob
from engine.spool.private_files import private_folder, read_private, write_private

#: Seconds of the file before and behind what the item plays, so that it can be trimmed longer later.
HANDLES_S = 1.0
_LARGEST_NOTE_BYTES = 10_000


def submit_item(item: Item, file: Path, preset: str, project: str) -> str:
    """Hand the item's part of `file` to the engine and return the job's id.

    Results go to `stemfix` beside the project, or beside the file of a project that was never saved.
    Raises StemfixError.
    """
    from engine.audio.read import probe

    info = probe(file)
    start_s, stop_s = item.needs(info.frames / info.sample_rate)
    start = max(int((start_s - HANDLES_S) * info.sample_rate), 0)
    stop = min(int((stop_s + HANDLES_S) * info.sample_rate) + 1, info.frames)
    if stop_s <= start_s:
        raise InputError(
            f"The item at {item.position_s:g} s plays nothing of {file}.", "Choose another item."
        )
    chosen = quality(load_preset(preset).quality)
    beside = Path(project) if project else file
    job_id = new_job_id()
    _remember(job_id, item.guid)
    return write_job(
        SpoolJob(
            source=file.absolute(),
            out_dir=beside.parent.absolute() / "stemfix",
            start_frame=start or None,
            stop_frame=None if stop == info.frames else stop,
            preset=preset,
            model=chosen.model,
            options=chosen.options,
            output_format=chosen.output_format,
            write_mix=False,
            client="reaper",
            priority="daw",
        ),
        job_id,
    )


def item_of(job_id: str) -> str | None:
    """The identifier of the item that a job is for; None if nobody remembers."""
    try:
        found = json.loads(read_private(_note(job_id), _LARGEST_NOTE_BYTES))
        return str(found["item"])
    except (OSError, StemfixError, ValueError, KeyError, TypeError):
        return None


def _remember(job_id: str, guid: str) -> None:
    path = _note(job_id)
    private_folder(path.parent)
    with output_errors(path):
        write_private(path, json.dumps({"item": guid}).encode())


def _note(job_id: str) -> Path:
    return data_dir() / "daw" / "reaper-jobs" / f"{job_id}.json"

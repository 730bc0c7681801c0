"""write_copy: a project of REAPER with a job's stems, as a new file beside it."""

from __future__ import annotations

import os
from pathlib import Path

from daw_bridge.reaper.chunk import ChunkError
from daw_bridge.reaper.project import Project, choose
from daw_bridge.reaper.result import Result
from engine.errors import InputError, OutputError


def write_copy(path: Path, result: Result, *, all_items: bool = False, item: int | None = None) -> Path:
    """Write `song (stemfix).rpp` beside `song.rpp` and return its path; the project itself is only read.

    Raises InputError, OptionError or OutputError, and then no file was made.
    """
    from engine.files import new_file, output_errors, publish_file

    project = Project(path)
    chosen = choose(project.of(result), result, all_of_them=all_items, number=item)
    try:
        data = project.with_stems(chosen, result)
    except ChunkError as error:
        raise InputError(f"{path} can't be used: {error.what}", error.remedy) from error
    target = project.path.with_name(f"{project.path.stem} (stemfix){project.path.suffix}")
    if os.path.lexists(target):
        raise OutputError(f"{target} exists already.", "Move it away, then try again.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    with new_file(temporary) as file:
        file.write(data)
    try:
        with output_errors(target):
            publish_file(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target

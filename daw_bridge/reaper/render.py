"""import_render: stems of a recording that was rendered from a project, put back where it was rendered."""

from __future__ import annotations

from typing import Any

from daw_bridge.reaper.importing import place_result
from daw_bridge.reaper.result import Result
from engine.audio.wav_metadata import read_metadata
from engine.errors import InputError


def time_reference(result: Result) -> int | None:
    """The frame of its project at which the recording begins; None if it does not say."""
    # A watched folder moves a recording there when its job is done.
    moved = result.source.parent / "done" / result.source.name
    metadata = read_metadata(result.source if result.source.is_file() else moved)
    # A file without a `bext` chunk has nothing of this; one that begins at 0 has at least its origin.
    if not (metadata.time_reference or metadata.originator or metadata.origination_date):
        return None
    return metadata.time_reference


def import_render(api: Any, result: Result) -> float:
    """Put the stems on new tracks where the recording's `bext` chunk says that it begins.

    Returns the place in seconds from the project's start. Raises StemfixError.
    """
    reference = time_reference(result)
    if reference is None:
        raise InputError(
            f"{result.source} does not say where in its project it begins.",
            "Render with Broadcast Wave metadata (in REAPER's render window: Write BWF chunk).",
        )
    start_s = (reference + result.start_frame) / result.sample_rate
    return place_result(api, result, start_s, result.source.stem)

"""The range of a source that a job works on, in frames at the source's own rate."""

from __future__ import annotations

from engine.audio.read import SourceInfo
from engine.errors import OptionError
from engine.job import JobSpec


def frame_range(spec: JobSpec, info: SourceInfo) -> tuple[int, int]:
    """The job's `[start, stop)`. Raises OptionError where it does not lie within the source."""
    start = spec.start_frame or 0
    stop = info.frames if spec.stop_frame is None else spec.stop_frame
    if stop > info.frames or start >= info.frames:
        raise OptionError(
            f"The range {start / info.sample_rate:.3f} s to {stop / info.sample_rate:.3f} s goes beyond "
            f"the end of {spec.source}, which lasts {info.seconds:.3f} s.",
            "Give a range within it.",
        )
    if start >= stop:
        raise OptionError(
            f"The range {start / info.sample_rate:.3f} s to {stop / info.sample_rate:.3f} s is empty.",
            "Its end must come after its start.",
        )
    return start, stop

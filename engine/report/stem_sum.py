"""stem_sum: what a job without a mix of its own is heard as, such as one that a DAW asked for."""

from __future__ import annotations

from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.errors import InputError
from engine.mixdown import sum_buffers
from engine.report.job_folder import JobFolder
from engine.report.recording import load_recording


def stem_sum(job: JobFolder, excerpt: tuple[int, int], work: Path) -> tuple[AudioBuffer, str]:
    """The sum of frames `excerpt` of the stems that the job delivered, and a sentence that says so.

    Raises InputError where there are none or one can't be read.
    """
    if not job.stems:
        raise InputError(f"{job.path} holds no audio to listen to.", "Run the job again.")
    work.mkdir(exist_ok=True)
    parts = [load_recording(path, work / f"{name}.f32", *excerpt) for name, path in job.stems.items()]
    total = parts[0].like(work / "sum.f32")
    sum_buffers(parts, total)
    for part in parts:
        if part.path is not None:
            part.path.unlink()
    names = ", ".join(job.stems)
    return total, f"{job.manifest.name} was made without a mix; you hear the sum of its stems ({names})."

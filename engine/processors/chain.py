"""Chain: runs one effect after another over a recording, through two files at most."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.audio.buffer import AudioBuffer
from engine.processors.processor import Processor
from engine.progress import Progress


def run_chain(
    processors: Sequence[Processor],
    source: AudioBuffer,
    into_path: Path,
    work: Path,
    progress: Progress | None = None,
) -> tuple[AudioBuffer, list[dict[str, Any]]]:
    """Run `processors` in order over `source`; `source` itself is never written.

    Returns the result and one report per processor. The result is a new buffer file at `into_path`, or
    `source` itself if no processor changed anything. `work` is a folder for what lies between two processors.

    Raises:
        FileExistsError: there is something at `into_path`.
        Cancelled: `progress` was told to stop; nothing is left in `work`.
    """
    if into_path.exists():
        raise FileExistsError(f"{into_path} exists")
    current = source
    reports = []
    with TemporaryDirectory(prefix="chain-", dir=work) as folder:
        for number, processor in enumerate(processors):
            if progress is not None:
                progress.check()
            if processor.amount == 0.0:
                reports.append({"effect": processor.effect, "applied": False})
                continue
            into = source.like(Path(folder, f"{number}.f32"))
            report = processor.process(current, into, progress)
            reports.append(report)
            # An effect that found nothing to do has only copied: keep what was there.
            done, current = (current, into) if report["applied"] else (into, current)
            if done is not source and done.path is not None:
                done.path.unlink()
        if current is source or current.path is None:
            return source, reports
        shutil.move(current.path, into_path)
    return AudioBuffer.open(into_path, source.channels, source.frames, source.sample_rate), reports

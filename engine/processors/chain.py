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
            found = processor.examine(current)
            if found is None:
                reports.append(processor.idle_report())
                continue
            into = source.like(Path(folder, f"{number}.f32"))
            reports.append(processor.carry_out(current, into, found, progress))
            del found  # it may be large, and the next effect finds something of its own
            if current is not source and current.path is not None:
                current.path.unlink()
            current = into
        if current is source or current.path is None:
            return source, reports
        shutil.move(current.path, into_path)
    return AudioBuffer.open(into_path, source.channels, source.frames, source.sample_rate), reports

"""Result: what a job delivered, as the DAWs take it: stems, and where they lie in the source file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import InputError
from engine.job import FileRecord, Manifest
from engine.publish import MANIFEST


@dataclass(frozen=True)
class Stem:
    """One file."""

    name: str
    path: Path


@dataclass(frozen=True)
class Result:
    """The stems of the frames `[start_frame, stop_frame)` of a file that has `file_frames`."""

    source: Path
    stems: tuple[Stem, ...]
    sample_rate: int
    start_frame: int
    stop_frame: int
    file_frames: int
    folder: Path

    @property
    def start_s(self) -> float:
        """Where the stems begin in the file."""
        return self.start_frame / self.sample_rate

    @property
    def stop_s(self) -> float:
        """Where they end."""
        return self.stop_frame / self.sample_rate

    @property
    def frames(self) -> int:
        """How long each stem is."""
        return self.stop_frame - self.start_frame


def load_result(folder: Path) -> Result:
    """The result in a published folder, each file of which was opened and has its length.

    Raises InputError.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        raise InputError(f"{path} is missing or damaged.", "Run the job again.") from None
    source = manifest.source
    for record in manifest.stems:
        _check_file(folder, record, source.stop_frame - source.start_frame, source.sample_rate)
    if not manifest.stems:
        raise InputError(f"There are no stems in {folder}.", "Run the job again.")
    return Result(
        source=Path(source.path),
        stems=tuple(Stem(record.name, (folder / record.file).absolute()) for record in manifest.stems),
        sample_rate=source.sample_rate,
        start_frame=source.start_frame,
        stop_frame=source.stop_frame,
        file_frames=source.frames,
        folder=folder.absolute(),
    )


def _check_file(folder: Path, record: FileRecord, frames: int, sample_rate: int) -> None:
    import soundfile

    path = folder / record.file
    try:
        info = soundfile.info(str(path))
    except (OSError, RuntimeError):
        raise InputError(f"{path} is missing or can't be read.", "Run the job again.") from None
    if info.frames != frames or info.samplerate != sample_rate:
        raise InputError(
            f"{path} has {info.frames} frames at {info.samplerate} Hz, not {frames} at {sample_rate} Hz.",
            "Somebody changed it. Run the job again.",
        )

"""WatchSettings: one watched folder and what is done with the recordings in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from engine.audio.output_format import OutputFormat
from engine.errors import OptionError
from engine.job import Device, JobSpec, ResidualMode
from engine.processors.presets import load as load_preset
from engine.quality import quality
from engine.separation.separator import SeparationOptions
from watchers.names import is_result

#: The folder in a watched folder to which sources are moved; it is never searched.
DONE = "done"


class WatchSettings(BaseModel):
    """One `[[watch]]` of the configuration. What is None is as the preset, or its quality, has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Absolute, or beginning with `~`.
    folder: Path
    preset: str = "balanced"
    quality: str | None = None
    model: str | None = None
    overlap: float | None = Field(None, ge=0.0, lt=1.0)
    shifts: int | None = Field(None, ge=0, le=64)
    segment_s: float | None = Field(None, gt=0.0)
    seed: int = Field(0, ge=0, lt=2**32)
    stems: tuple[str, ...] | None = None
    residual: ResidualMode = "share"
    output_format: OutputFormat | None = None
    device: Device = "auto"
    #: Where results go: beside each source by default; a relative path lies in `folder`.
    out: Path | None = None
    #: Whether folders below `folder` are watched too.
    recursive: bool = False
    #: File names to take, such as `*.wav`, in any case; None for every audio format.
    patterns: tuple[str, ...] | None = None
    #: What happens to a source whose job is done: nothing, or a move to `done` in the watched folder.
    when_done: Literal["keep", "move"] = "keep"
    #: Whether to ask the file system again and again instead of being told: on network file systems, or so.
    poll: Literal["auto", "always", "never"] = "auto"
    #: How many looks in a row must find a file unchanged.
    stable_looks: int = Field(5, ge=2, le=1000)
    #: Seconds between two looks.
    interval_s: float = Field(1.0, ge=0.1, le=60.0)
    #: Seconds without a change after which a file whose header gives no length is taken, and one that is not
    #: whole is reported.
    patience_s: float = Field(60.0, ge=1.0, le=86_400.0)
    #: Jobs that this folder may have in the queue at a time.
    max_queued: int = Field(200, ge=1, le=100_000)

    @field_validator("folder")
    @classmethod
    def _folder(cls, folder: Path) -> Path:
        folder = _expanded(folder)
        if not folder.is_absolute():
            raise ValueError(f"the path {str(folder)!r} is not absolute")
        folder = Path(os.path.normpath(folder))
        if any(is_result(part) for part in folder.parts):
            raise ValueError(f"{str(folder)!r} lies in a folder of results, which are never taken")
        return folder

    @field_validator("preset")
    @classmethod
    def _preset(cls, preset: str) -> str:
        if not preset.endswith(".toml") and "/" not in preset and "\\" not in preset:
            return preset
        path = _expanded(Path(preset))
        if not path.is_absolute():
            raise ValueError(f"the path {preset!r} is not absolute")
        return str(path)

    @field_validator("patterns", "stems")
    @classmethod
    def _some(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and not all(name.strip() for name in (names or ("",))):
            raise ValueError("it must name at least one, and no empty one")
        return names

    @field_validator("out")
    @classmethod
    def _out(cls, out: Path | None, found: ValidationInfo) -> Path | None:
        folder = found.data.get("folder")
        return out if out is None or folder is None else Path(os.path.normpath(folder / _expanded(out)))

    def base_spec(self) -> JobSpec:
        """The job of any file here, all but its source and output folder settled.

        Raises OptionError for a preset, a quality or an option that can't be served.
        """
        chosen = quality(self.quality or load_preset(self.preset).quality)
        options = chosen.options
        return JobSpec(
            source=self.folder,
            out_dir=self.out or self.folder,
            preset=self.preset,
            model=self.model or chosen.model,
            options=SeparationOptions(
                overlap=options.overlap if self.overlap is None else self.overlap,
                shifts=options.shifts if self.shifts is None else self.shifts,
                segment_s=options.segment_s if self.segment_s is None else self.segment_s,
                precision=options.precision,
            ),
            seed=self.seed,
            stems=self.stems,
            residual=self.residual,
            output_format=self.output_format or chosen.output_format,
            device=self.device,
        )

    def out_dir(self, source: Path) -> Path:
        """Where the results of `source` go; sub-folders are kept, so that equal names don't meet."""
        if self.out is None:
            return source.parent
        return self.out / source.parent.relative_to(self.folder)


def settings_digest(spec: JobSpec) -> str:
    """SHA-256 over what makes one folder's results differ from another's.

    Takes the spec of `base_spec`. Raises PresetError where the preset is gone.
    """
    parts = spec.model_dump(mode="json", exclude={"source", "device", "use_cache", "force"})
    parts["preset"] = load_preset(spec.preset).digest
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def check_together(all_settings: Sequence[WatchSettings]) -> None:
    """Raise OptionError where the folders can't be watched together, or one's jobs could never be served."""
    if not all_settings:
        raise OptionError("There is no folder to watch.", "Name one, or add [[watch]] to the configuration.")
    seen: set[Path] = set()
    for settings in all_settings:
        real = settings.folder.resolve()
        if real in seen:
            raise OptionError(f"{settings.folder} would be watched twice.", "Name it once.")
        seen.add(real)
        settings.base_spec()


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{str(path)!r}: {error}") from None

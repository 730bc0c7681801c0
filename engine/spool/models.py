"""The spool's files: a job, its status and its result, and the engine's heartbeat."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import from_json

from engine.errors import OptionError
from engine.job import JOB_VERSION, JobSpec
from engine.processors.presets import load as load_preset
from engine.progress import Stage
from engine.quality import quality
from engine.queue.records import JOB_ID_PATTERN, JobState, Priority
from engine.separation.separator import SeparationOptions
from presets.validation import first_complaint

#: `major.minor`: a reader refuses a newer major version, and overlooks fields that a newer minor one added.
SPOOL_VERSION = "1.0"
_AGAIN = "Hand the job over again under another id."


class UnfinishedJobError(OptionError):
    """A `job.json` that is not JSON, or not yet: its writer may be at work."""


def _require_version(schema: dict[str, Any]) -> None:
    schema["required"] = ["spool_version", *schema.get("required", [])]


class SpoolJob(JobSpec):
    """`job.json`: what is to be done. Written by a client, once, and never changed after that."""

    model_config = ConfigDict(json_schema_extra=_require_version)

    #: `major.minor` of this description of the spool; an engine refuses a newer major version.
    spool_version: str = SPOOL_VERSION
    #: Who asks, such as `reaper`; shown to the user.
    client: str = Field("spool", pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    #: Who waits: `daw` goes before `watched`, and that before `batch`.
    priority: Literal["daw", "watched", "batch"] = "daw"

    #: Empty for what the preset's quality asks for; options that were not given are then that quality's too.
    model: str = ""

    @field_validator("source", "out_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError(f"the path {str(path)!r} is not absolute")
        return path

    @field_validator("preset")
    @classmethod
    def _absolute_preset(cls, preset: str) -> str:
        if (preset.endswith(".toml") or re.search(r"[/\\]", preset)) and not Path(preset).is_absolute():
            raise ValueError(f"the path {preset!r} is not absolute")
        return preset

    @classmethod
    def parse(cls, data: bytes) -> SpoolJob:
        """The job in the bytes of a `job.json`.

        Raises OptionError with a sentence that a user can act on: UnfinishedJobError where it is not JSON.
        """
        try:
            fields = from_json(data.removeprefix(codecs.BOM_UTF8))
        except ValueError as error:
            raise UnfinishedJobError(f"job.json is not JSON: {error}.", _AGAIN) from None
        if not isinstance(fields, dict):
            raise OptionError("job.json is not a JSON object.", _AGAIN)
        newer = _check_version(fields.get("spool_version"), SPOOL_VERSION, "spool_version")
        newer |= _check_version(fields.get("job_version", JOB_VERSION), JOB_VERSION, "job_version")
        if newer:
            fields = {name: value for name, value in fields.items() if name in cls.model_fields}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            complaint = first_complaint(cls, error, ())
            raise OptionError(f"job.json: {complaint.what}.", complaint.remedy) from None

    def spec(self) -> JobSpec:
        """The part that the pipeline takes. Raises PresetError."""
        fields = {name: getattr(self, name) for name in JobSpec.model_fields}
        if not self.model:
            chosen = quality(load_preset(self.preset).quality)
            fields["model"] = chosen.model
            if self.options == SeparationOptions():
                fields["options"] = chosen.options
        return JobSpec(**fields)

    @property
    def queue_priority(self) -> Priority:
        """The priority in the queue's terms."""
        return Priority[self.priority.upper()]


class SpoolStatus(BaseModel):
    """`status.json`: where the job stands. Written by the engine, at most four times a second."""

    spool_version: str = SPOOL_VERSION
    job_id: str = Field(pattern=JOB_ID_PATTERN)
    state: JobState
    #: None unless the job is running.
    stage: Stage | None = None
    #: Of the whole job, 0 to 1.
    progress: float = Field(0.0, ge=0.0, le=1.0)
    #: Seconds left, from the speed measured so far; None until it is known.
    eta_s: float | None = None
    #: Source seconds per second over the job so far.
    speed_x_realtime: float | None = None
    #: One sentence for the user: what is happening, or why the job failed.
    message: str = ""
    #: When this was written, in seconds since 1970.
    time: float


class SpoolFile(BaseModel):
    """One audio file that a job delivered."""

    #: The stem's name, or `mix`.
    name: str
    #: Absolute.
    path: str
    sha256: str
    frames: int
    sample_rate: int
    channels: int


class SpoolResult(BaseModel):
    """`result.json`: how the job ended. There before `status.json` says so; written by the engine, once."""

    spool_version: str = SPOOL_VERSION
    job_id: str = Field(pattern=JOB_ID_PATTERN)
    state: JobState
    #: One sentence where the job did not get done.
    message: str = ""
    #: The exit status that the command would have had; 0 where the job is done.
    exit_status: int = 0
    #: The published folder.
    folder: str | None = None
    #: The published `manifest.json`, which says everything about the files.
    manifest: str | None = None
    #: Stems in the model's order, then the mix.
    files: list[SpoolFile] = []
    #: Where the files' first frame and end lie in the source, in frames at its own rate.
    start_frame: int | None = None
    stop_frame: int | None = None
    #: True where the same job had been done before and its files were still there.
    already_done: bool = False
    #: Whether anything moved: PASS, WARN or FAIL.
    verdict: str | None = None
    #: RMS in dBFS of the source less the sum of the stems before their effects.
    null_rms_db: float | None = None
    #: Sentences that the user should read, such as a fallback that was taken.
    notes: list[str] = []


class EngineHeartbeat(BaseModel):
    """`engine.json` in the data folder: an engine is alive. Written twice a second, removed at its end."""

    spool_version: str = SPOOL_VERSION
    #: Of the program.
    version: str
    #: Raised whenever the same job would come out with other samples.
    engine_version: str
    pid: int
    #: When the process was created, in seconds since 1970: tells it from another one with the same pid.
    process_started_at: float
    host: str
    #: When this was written, in seconds since 1970.
    time: float
    #: Jobs are taken while it is `ready`.
    state: Literal["starting", "ready", "stopping"]
    #: The computing device in use, or the one that is configured until a model is in memory.
    device: str
    #: The model in memory.
    model: str | None = None
    #: True while a model is in memory, so that the next job with it starts at once.
    warm: bool = False
    #: Memory of the engine's process, and what the machine has left.
    memory_used_bytes: int = 0
    memory_free_bytes: int = 0
    #: The same of the graphics card, where one is in use.
    device_memory_used_bytes: int | None = None
    device_memory_free_bytes: int | None = None
    #: Ids of the jobs being worked on.
    running: list[str] = []
    #: Jobs in the queue by state.
    queue: dict[JobState, int] = {}
    #: The engine's log file.
    log: str


def _check_version(found: object, ours: str, name: str) -> bool:
    """True where `found` is newer in its minor part. Raises OptionError where it can't be understood."""
    if not isinstance(found, str) or not re.fullmatch(r"\d{1,9}\.\d{1,9}", found):
        raise OptionError(f"job.json: {name} is missing or not a version.", f'Write "{name}": "{ours}".')
    major, minor = (int(part) for part in found.split("."))
    own_major, own_minor = (int(part) for part in ours.split("."))
    if major > own_major:
        raise OptionError(
            f"This job was written for {name} {found}, and this stemfix understands up to {own_major}.x.",
            "Update stemfix.",
        )
    if major < own_major:
        raise OptionError(
            f"This job was written for {name} {found}, which is no longer understood.",
            "Update the program that wrote it.",
        )
    return minor > own_minor

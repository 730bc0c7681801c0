"""JobSpec and Manifest: what goes into a job and what comes out, as JSON on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.audio.output_format import OutputFormat
from engine.separation.separator import SeparationOptions

#: `major.minor`: a reader refuses a newer major version.
JOB_VERSION = "1.0"
MANIFEST_VERSION = "1.0"

Device = Literal["auto", "cuda", "mps", "cpu"]
ResidualMode = Literal["share", "stem"]


class JobSpec(BaseModel):
    """One recording, or a range of it, and what to do with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_version: str = JOB_VERSION
    source: Path
    #: Folder in which `<name>.stemfix/` is made.
    out_dir: Path
    #: Frames of the source at its own rate; None for its beginning or end.
    start_frame: int | None = Field(None, ge=0)
    stop_frame: int | None = Field(None, gt=0)
    #: A preset's name or the path of a preset file.
    preset: str = "balanced"
    model: str = "htdemucs"
    options: SeparationOptions = SeparationOptions()
    seed: int = Field(0, ge=0, lt=2**32)
    #: Stems to enhance and to deliver; None for all that the model has.
    stems: tuple[str, ...] | None = None
    #: Whether the enhanced mix is delivered too.
    write_mix: bool = True
    #: What the model left over: shared out over the stems, or a stem of its own.
    residual: ResidualMode = "share"
    output_format: OutputFormat = OutputFormat.FLOAT32
    device: Device = "auto"
    use_cache: bool = True
    #: Publish even where a stem's alignment verdict is FAIL.
    force: bool = False


class SourceRecord(BaseModel):
    """What was read."""

    path: str
    digest: str
    container: str
    sample_rate: int
    channels: int
    frames: int
    start_frame: int
    stop_frame: int


class ModelRecord(BaseModel):
    """What separated it."""

    name: str
    digest: str
    options: SeparationOptions
    seed: int


class FileRecord(BaseModel):
    """One file in the output folder."""

    file: str
    sha256: str
    bytes: int
    frames: int
    sample_rate: int
    channels: int
    output_format: OutputFormat
    #: Samples that did not fit an integer format; float files never clip.
    clipped_samples: int
    lufs: float | None
    true_peak_db: float | None


class ProofRecord(BaseModel):
    """How a stem lies against itself before its chain."""

    verdict: str
    reasons: list[str]
    silent: bool
    delay_samples: float
    polarity: int
    gain_db: float
    confidence: float
    coherence: float


class StemRecord(FileRecord):
    """One delivered stem."""

    name: str
    proof: ProofRecord


class Manifest(BaseModel):
    """What a finished job delivered. A job is done if and only if this file exists and its hashes hold."""

    manifest_version: str = MANIFEST_VERSION
    stemfix_version: str
    engine_version: str
    job_key: str
    name: str
    source: SourceRecord
    preset: str
    preset_digest: str
    #: True where the recording was repaired before it was separated; the null is then against the repaired.
    repaired: bool = False
    model: ModelRecord
    residual: ResidualMode
    #: Level in dB, re the mix, of what the model's own stems left out before it was given back. None for
    #: silence, and where only some stems were taken out of a bag of models.
    residual_db: float | None
    #: RMS and peak in dBFS of (what was separated - sum of the stems before their chains).
    null_rms_db: float
    null_peak_db: float
    #: The worst of the stems' verdicts and the sum's.
    verdict: str
    stems: list[StemRecord]
    mix: FileRecord | None


class Report(BaseModel):
    """Everything about a job that is worth knowing but may differ between two runs of it."""

    report_version: str = "1.0"
    job_key: str
    device: str
    cache: Literal["hit", "miss", "off"]
    #: Seconds per stage.
    seconds: dict[str, float]
    speed_x_realtime: float
    #: The full alignment with its bands, per stem and of the repaired recording, and the sum's null depth.
    alignment: dict[str, Any]
    #: What each repair before the separation found and did.
    repairs: list[dict[str, Any]] = []
    #: Per stem, what each effect found and did.
    chains: dict[str, list[dict[str, Any]]]
    #: The mix's gain, chain and loudness beside the source's.
    mix: dict[str, Any]
    notes: list[str]
    versions: dict[str, str]

"""plan_job: what a job would do and need, without doing it."""

from __future__ import annotations

import math
import shutil

from pydantic import BaseModel

from engine.audio.read import probe
from engine.audio.resample import resampled_frames
from engine.job import JobSpec
from engine.models import WHOLE, ModelProvider, model_for
from engine.needs import disk_needed, wanted_stems
from engine.processors.presets import load as load_preset
from engine.source_range import frame_range
from engine.workspace import job_name

#: What every demucs model works at; the models' own default segment length in seconds.
_MODEL_RATE = 44100
_SEGMENT_S = 7.8


class Plan(BaseModel):
    """The answer to `--dry-run`."""

    source: str
    container: str
    sample_rate: int
    channels: int
    frames: int
    seconds: float
    preset: str
    model: str
    segments: int
    stems: list[str]
    files: list[str]
    bytes_of_results: int
    disk_bytes_needed: int
    disk_bytes_free: int


def plan_job(spec: JobSpec, models: ModelProvider | None = None) -> Plan:
    """Check a job as `run_job` would at its start. Raises the same errors."""
    info = probe(spec.source)
    start, stop = frame_range(spec, info)
    preset = load_preset(spec.preset)
    model = model_for(spec, models)
    stems = wanted_stems(spec, model)
    parts = [*stems, *(["mix"] if spec.write_mix else [])]
    name = job_name(spec.source)
    frames = stop - start
    stride_s = (spec.options.segment_s or _SEGMENT_S) * (1 - spec.options.overlap)
    looks = max(spec.options.shifts, 1)
    model_s = resampled_frames(frames, info.sample_rate, _MODEL_RATE) / _MODEL_RATE
    place = next(folder for folder in (spec.out_dir, *spec.out_dir.resolve().parents) if folder.exists())
    return Plan(
        source=str(spec.source),
        container=info.container,
        sample_rate=info.sample_rate,
        channels=info.channels,
        frames=frames,
        seconds=frames / info.sample_rate,
        preset=preset.name,
        model=model.name,
        segments=0 if model.name == WHOLE else looks * math.ceil(model_s / stride_s),
        stems=list(stems),
        files=[f"{name}-{part}{spec.output_format.extension}" for part in parts],
        bytes_of_results=len(parts) * frames * info.channels * spec.output_format.bits // 8,
        disk_bytes_needed=disk_needed(frames, info.channels),
        disk_bytes_free=shutil.disk_usage(place).free,
    )

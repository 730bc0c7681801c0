"""What a finished job leaves on disk: the audio files, `report.json`, and `manifest.json` last."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ValidationError

from engine.alignment.proof import Proof
from engine.audio.buffer import AudioBuffer
from engine.audio.loudness import Loudness, LoudnessMeter
from engine.audio.read import SourceInfo
from engine.audio.wav_metadata import WavMetadata, derive, read_metadata
from engine.audio.write import write_audio
from engine.files import new_file, sha256_of
from engine.job import (
    FileRecord,
    JobSpec,
    Manifest,
    ModelRecord,
    ProofRecord,
    Report,
    SourceRecord,
    StemRecord,
)
from engine.models import ModelHandle
from engine.progress import Progress
from engine.steps import Aligned, Enhanced, Read, Repaired, Separated
from engine.version import ENGINE_VERSION
from engine.workspace import Workspace, result_folders
from presets.preset import Preset

MANIFEST = "manifest.json"
REPORT = "report.json"


@dataclass(frozen=True)
class Delivery:
    """Everything that goes into a job's output folder."""

    spec: JobSpec
    info: SourceInfo
    range: tuple[int, int]
    name: str
    preset: Preset
    model: ModelHandle
    read: Read
    repaired: Repaired
    residual_db: float | None
    stems: dict[str, AudioBuffer]
    mix: AudioBuffer | None
    #: Measured when it was made.
    mix_loudness: Loudness | None
    proof: Proof

    def publish(self, work: Workspace, manifest: Manifest, report: Report) -> Path:
        """Write both JSON files, the manifest last, and rename the whole folder into place."""
        _write_json(work.results / REPORT, report)
        _write_json(work.results / MANIFEST, manifest)
        return work.publish()


def job_key(spec: JobSpec, source_digest: str, preset: Preset, model: ModelHandle, name: str) -> str:
    """SHA-256 over all that decides a job's bytes: two jobs with one key have the same results.

    "The same" is meant within the precision that the options promise: what computes on a machine is no part
    of the key, so that a job that is done counts as done on all of them.
    """
    parts = {
        "engine": ENGINE_VERSION,
        "name": name,
        "source": source_digest,
        "start": spec.start_frame or 0,
        "preset": preset.digest,
        "model": model.digest,
        "options": spec.options.model_dump(),
        "seed": spec.seed,
        "stems": spec.stems,
        "mix": spec.write_mix,
        "residual": spec.residual,
        "format": spec.output_format.value,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def find_finished(out_dir: Path, name: str, key: str) -> tuple[Path, Manifest, Report] | None:
    """The results of the job with this key, if they are there whole: every file is hashed again."""
    for folder in result_folders(out_dir, name):
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
            if manifest.job_key != key:
                continue
            report = Report.model_validate_json((folder / REPORT).read_bytes())
            files = [*manifest.stems, *([manifest.mix] if manifest.mix else [])]
            if all(sha256_of(folder / record.file) == record.sha256 for record in files):
                return folder, manifest, report
        except (OSError, ValidationError):
            continue  # not ours, or not whole any more: the job is done again beside it
    return None


def write_results(delivery: Delivery, folder: Path, progress: Progress) -> Manifest:
    """Write the stems and the mix into `folder` and return the manifest that describes them."""
    spec = delivery.spec
    parts = {**delivery.stems, **({"mix": delivery.mix} if delivery.mix is not None else {})}
    metadata = read_metadata(spec.source)
    records: dict[str, FileRecord] = {}
    # Each file has a thread of its own at most; what is in it does not depend on the others.
    with ThreadPoolExecutor(max_workers=max(min(len(parts), os.cpu_count() or 1), 1)) as pool:
        written = pool.map(
            lambda part: _write(delivery, metadata, parts[part], part, folder, progress), parts
        )
        for part, record in zip(parts, written, strict=True):
            records[part] = record
            progress.update("publish", len(records), len(parts))
    mix = records.pop("mix", None)
    stems = [
        StemRecord(
            **record.model_dump(), name=name, proof=ProofRecord(**delivery.proof.stems[name].summary())
        )
        for name, record in records.items()
    ]
    start, stop = delivery.range
    return Manifest(
        stemfix_version=_stemfix_version(),
        engine_version=ENGINE_VERSION,
        job_key=delivery.read.key,
        name=delivery.name,
        source=SourceRecord(
            path=str(spec.source),
            digest=delivery.read.digest,
            container=delivery.info.container,
            sample_rate=delivery.info.sample_rate,
            channels=delivery.info.channels,
            frames=delivery.info.frames,
            start_frame=start,
            stop_frame=stop,
        ),
        preset=delivery.preset.name,
        preset_digest=delivery.preset.digest,
        repaired=delivery.repaired.changed,
        model=ModelRecord(
            name=delivery.model.name, digest=delivery.model.digest, options=spec.options, seed=spec.seed
        ),
        residual=spec.residual,
        residual_db=delivery.residual_db,
        null_rms_db=delivery.proof.null.rms_db,
        null_peak_db=delivery.proof.null.peak_db,
        verdict=delivery.proof.verdict.value,
        stems=stems,
        mix=mix,
    )


def make_report(
    delivery: Delivery, steps: tuple[Read, Repaired, Separated, Enhanced, Aligned], publish_seconds: float
) -> Report:
    """The report of the run whose steps these were."""
    _, repaired, separated, enhanced, aligned = steps
    seconds = {step.stage: step.seconds for step in steps} | {"publish": publish_seconds}
    start, stop = delivery.range
    return Report(
        job_key=delivery.read.key,
        device=separated.device,
        cache=separated.cache,
        seconds=seconds,
        speed_x_realtime=round(
            (stop - start) / delivery.info.sample_rate / max(sum(seconds.values()), 1e-9), 3
        ),
        alignment=aligned.proof.as_json(),
        repairs=repaired.reports,
        chains=enhanced.reports,
        mix=enhanced.mix,
        notes=[note for step in steps for note in step.notes],
        versions=library_versions(),
    )


@lru_cache
def library_versions() -> dict[str, str]:
    """Versions of the libraries that touch samples."""
    found = {"stemfix": _stemfix_version()}
    for package in ("torch", "demucs", "numpy", "scipy", "soundfile", "soxr", "pedalboard"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


@lru_cache
def _stemfix_version() -> str:
    try:
        return version("stemfix")
    except PackageNotFoundError:
        return "unknown"


def _write(
    delivery: Delivery,
    metadata: WavMetadata,
    audio: AudioBuffer,
    part: str,
    folder: Path,
    progress: Progress,
) -> FileRecord:
    """Write one file; `metadata` is the source's."""
    spec = delivery.spec
    path = folder / f"{delivery.name}-{part}{spec.output_format.extension}"
    history = (
        f"A=PCM,F={audio.sample_rate},W={spec.output_format.bits},"
        f"M={'mono' if audio.channels == 1 else 'stereo'},"
        f"T=stemfix {_stemfix_version()};{delivery.model.name} {delivery.model.digest[:12]};"
        f"preset {delivery.preset.name};seed {spec.seed};{part}"
    )
    derived = derive(
        metadata,
        start_frame=delivery.range[0],
        frames=audio.frames,
        sample_rate=audio.sample_rate,
        track_name=f"{delivery.name} {part}",
        coding_history_line=history,
    )
    meter = LoudnessMeter(audio.channels, audio.sample_rate)
    seed = _dither_seed(spec.seed, part)
    known = delivery.mix_loudness if part == "mix" else None
    observe = meter.add if known is None else None
    result = write_audio(path, audio, spec.output_format, derived, seed, progress, observe)
    loudness = known or meter.result()
    return FileRecord(
        file=path.name,
        sha256=result.sha256,
        bytes=result.bytes,
        frames=audio.frames,
        sample_rate=audio.sample_rate,
        channels=audio.channels,
        output_format=spec.output_format,
        clipped_samples=result.clipped,
        lufs=loudness.lufs,
        true_peak_db=loudness.true_peak_db,
    )


def _dither_seed(seed: int, part: str) -> int:
    """Another dither for every file: equal dither on all stems would add up coherently in their sum."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{part}".encode()).digest()[:4], "little")


def _write_json(path: Path, model: BaseModel) -> None:
    with new_file(path) as file:
        file.write(model.model_dump_json(indent=2).encode() + b"\n")

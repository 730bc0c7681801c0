"""run_job: the one place that tells the whole story, from a recording to enhanced stems that did not move.

    read -> separate (or take from the cache) -> give the residual back, so that the stems sum to the mix
    -> enhance each stem with its own chain -> mix down -> prove that nothing moved -> publish by one rename

`run_job` is a pure function of its spec, its input samples and the model's weights: same in, same bytes out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import engine.models
from engine.alignment.proof import Proof, prove
from engine.audio.buffer import AudioBuffer
from engine.audio.read import content_digest, probe, read_audio
from engine.errors import OptionError
from engine.job import JobSpec, Manifest, Report
from engine.mixdown import make_mix
from engine.models import ModelHandle, ModelProvider
from engine.processors.chain import run_chain
from engine.processors.presets import load as load_preset
from engine.processors.presets import processors
from engine.progress import Progress, Stage
from engine.publish import Delivery, find_finished, job_key, library_versions, write_results
from engine.separation.cache import default_cache, stem_key
from engine.separation.stems import Stems, separate_stems
from engine.source_range import frame_range
from engine.workspace import Workspace, job_name
from presets.preset import Preset

#: Buffers of the source's size that a job has on the disk at its peak, counted generously.
_BUFFERS_AT_PEAK = 20


@dataclass(frozen=True)
class JobResult:
    """Where a finished job's files are and what is in them."""

    folder: Path
    manifest: Manifest
    #: What a job says of its own run; a job that was done before has its first run's report.
    report: Report
    already_done: bool = False


@dataclass
class _Run:
    """What a run notes down along the way for its report."""

    progress: Progress
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    device: str = "none"
    cache: Literal["hit", "miss", "off"] = "off"

    def note(self, message: str) -> None:
        self.notes.append(message)
        self.progress.note(message)

    @contextmanager
    def stage(self, name: Stage) -> Iterator[None]:
        self.progress.check()
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)


def run_job(
    spec: JobSpec, progress: Progress | None = None, models: ModelProvider | None = None
) -> JobResult:
    """Carry out one job and publish its results in `spec.out_dir`.

    Args:
        spec: what to do.
        progress: told of stages and notes, asked for cancellation.
        models: where models come from; the installed ones by default.

    Raises:
        StemfixError: with one clear sentence; nothing was written then.
    """
    run = _Run(progress or Progress())
    info = probe(spec.source)
    start, stop = frame_range(spec, info)
    preset = load_preset(spec.preset)
    model = (models or engine.models.open_model)(spec.model, spec.options, spec.device)
    wanted = wanted_stems(spec, model)
    name = job_name(spec.source)

    with Workspace(spec.out_dir, name, disk_needed(stop - start, info.channels)) as work:
        with run.stage("read"):
            source = read_audio(info, start, stop, work.path("source.f32"), run.progress)
            digest = content_digest(source)
        key = job_key(spec, digest, preset, model, name)
        if finished := find_finished(spec.out_dir, name, key):
            return JobResult(*finished, already_done=True)

        with run.stage("separate"):
            stems = _separate(spec, digest, source, model, work, run)
        with run.stage("enhance"):
            enhanced, chain_reports = _enhance(stems.buffers, wanted, preset, work, run)
            mix: AudioBuffer | None = None
            mix_report: dict[str, Any] = {}
            if spec.write_mix:
                mix, mix_report = make_mix(list(enhanced.values()), source, preset.mix, work, run.progress)
        with run.stage("align"):
            proof = prove(source, stems.buffers, enhanced, wanted, mix, run.progress)
            proof.require(spec.force)
        with run.stage("publish"):
            delivery = Delivery(
                spec=spec,
                info=info,
                range=(start, stop),
                name=name,
                key=key,
                source=source,
                source_digest=digest,
                preset=preset,
                model=model,
                residual_db=stems.residual_db,
                stems={stem: enhanced[stem] for stem in wanted},
                mix=mix,
                proof=proof,
            )
            manifest = write_results(delivery, work.results, run.progress)
        report = _report(key, (stop - start) / info.sample_rate, run, proof, chain_reports, mix_report)
        folder = delivery.publish(work, manifest, report)
    return JobResult(folder, manifest, report)


def wanted_stems(spec: JobSpec, model: ModelHandle) -> tuple[str, ...]:
    """The stems to enhance and deliver, in the model's order. Raises OptionError for one it does not have."""
    available = (*model.sources, "residual") if spec.residual == "stem" else model.sources
    if spec.stems is None:
        return available
    for stem in spec.stems:
        if stem not in available:
            raise OptionError(
                f"The model '{model.name}' has no stem '{stem}'.", f"It has {', '.join(available)}."
            )
    return tuple(stem for stem in available if stem in spec.stems)


def disk_needed(frames: int, channels: int) -> int:
    """Bytes that a job of this size needs at its peak."""
    return _BUFFERS_AT_PEAK * 4 * channels * frames


def _separate(
    spec: JobSpec, digest: str, source: AudioBuffer, model: ModelHandle, work: Workspace, run: _Run
) -> Stems:
    """The stems before their chains, which sum to the source: from the cache or from the model."""
    cache = default_cache() if spec.use_cache else None
    key = stem_key(
        source_digest=digest,
        model_digest=model.digest,
        options=spec.options,
        seed=spec.seed,
        residual=spec.residual,
    )
    folder = work.folder("stems")
    if cache is not None:
        if (cached := cache.get(key, folder, run.progress.check)) is not None:
            run.cache = "hit"
            return Stems(cached.buffers, cached.residual_db)
        run.cache = "miss"
    separator = model.load(run.note)
    stems = separate_stems(
        source, separator, folder, seed=spec.seed, residual=spec.residual, progress=run.progress
    )
    run.device = getattr(separator, "device", "unknown")
    if cache is not None:
        cache.put(key, stems.buffers, stems.residual_db, run.progress.check)
    return stems


def _enhance(
    stems: Mapping[str, AudioBuffer], wanted: tuple[str, ...], preset: Preset, work: Workspace, run: _Run
) -> tuple[dict[str, AudioBuffer], dict[str, list[dict[str, Any]]]]:
    """Run each wanted stem's chain; the others stay as they are and still count in the mix."""
    chains = {stem: processors(preset.chains.get(stem, ())) for stem in wanted}
    todo = [stem for stem in wanted if chains[stem]]
    enhanced = dict(stems)
    reports: dict[str, list[dict[str, Any]]] = {stem: [] for stem in wanted}

    def enhance(stem: str) -> tuple[AudioBuffer, list[dict[str, Any]]]:
        folder = work.folder(f"chain-{stem}")
        return run_chain(chains[stem], stems[stem], folder / "enhanced.f32", folder, run.progress)

    # The chains' arithmetic runs outside Python's lock, so threads are enough; results don't depend on them.
    with ThreadPoolExecutor(max_workers=min(len(todo) or 1, os.cpu_count() or 1)) as pool:
        for count, (stem, result) in enumerate(zip(todo, pool.map(enhance, todo), strict=True), start=1):
            enhanced[stem], reports[stem] = result
            run.progress.update("enhance", count, len(todo))
    return enhanced, reports


def _report(
    key: str,
    source_seconds: float,
    run: _Run,
    proof: Proof,
    chains: dict[str, list[dict[str, Any]]],
    mix: dict[str, Any],
) -> Report:
    return Report(
        job_key=key,
        device=run.device,
        cache=run.cache,
        seconds=run.seconds,
        speed_x_realtime=round(source_seconds / max(sum(run.seconds.values()), 1e-9), 3),
        alignment=proof.as_json(),
        chains=chains,
        mix=mix,
        notes=run.notes,
        versions=library_versions(),
    )

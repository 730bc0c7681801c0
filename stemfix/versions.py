"""make_versions: one finished job per preset, from the disk where it is there, else made now."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.audio.read import SourceInfo, content_digest, probe
from engine.errors import Cancelled, InputError, OutputError
from engine.job import JobSpec
from engine.models import WHOLE, WarmModels, model_for
from engine.pipeline import run_job
from engine.processors.presets import load as load_preset
from engine.publish import find_finished, job_key
from engine.report.build import MAX_MINUTES
from engine.report.job_folder import JobFolder
from engine.report.recording import load_recording
from engine.workspace import job_name
from stemfix.console import say
from stemfix.failure import Settings
from stemfix.interrupt import stop_on_signals
from stemfix.live import job_progress
from stemfix.options import JobOptions
from stemfix.settings import JobSettings, choose_settings
from stemfix.text import plain
from stemfix.weights_gate import ensure_weights

#: The preset that leaves the stems as they are.
PLAIN = "none"


@dataclass(frozen=True)
class Versions:
    """The jobs in the order of their presets, and the one without effects if it was wanted."""

    jobs: list[JobFolder]
    plain: JobFolder | None
    notes: tuple[str, ...] = ()


def make_versions(
    options: JobOptions, presets: Sequence[str], with_plain: bool, place: Path, settings: Settings
) -> Versions:
    """Do the jobs of `options.inputs[0]`, one per preset, in `place`.

    Jobs of the same recording that lie finished beside it are taken as they are. A recording that is longer
    than a page holds is cut to that first, so that no time goes into what nobody will hear.
    """
    source = options.inputs[0].absolute()
    info = probe(source)
    start, stop, notes = _span(info, options)
    chosen = [(name, _settings(options, name)) for name in presets]
    if with_plain and PLAIN not in presets and any(how.model != WHOLE for _, how in chosen):
        separating = next(how for _, how in chosen if how.model != WHOLE)
        chosen.append((PLAIN, separating))
    models = WarmModels()
    digest = _digest(source, info, start, stop, place)
    jobs: dict[str, JobFolder] = {}
    for number, (name, how) in enumerate(chosen, start=1):
        if not options.quiet:
            say(plain(f"[{number}/{len(chosen)}] {name}"), error=True)
        if how.model != WHOLE:
            how = ensure_weights(how, replace(options, preset=name), settings.arguments)
        spec = _spec(source, place / name.replace(os.sep, "_"), options, name, how, start, stop)
        jobs[name] = _finished(spec, source.parent, digest) or _run(spec, info, options, models)
    plain_job = jobs.get(PLAIN) if with_plain else None
    return Versions([jobs[name] for name in presets], plain_job, notes)


def _span(info: SourceInfo, options: JobOptions) -> tuple[int | None, int | None, tuple[str, ...]]:
    start, stop = options.time_range.frames(info.sample_rate)
    limit = MAX_MINUTES * 60 * info.sample_rate
    first = start or 0
    if (stop or info.frames) - first <= limit:
        return start, stop, ()
    minutes = ((stop or info.frames) - first) / info.sample_rate / 60
    note = (
        f"The recording is {minutes:.0f} minutes long; the first {MAX_MINUTES} of them are compared. "
        "Choose others with --range."
    )
    return first, first + limit, (note,)


def _settings(options: JobOptions, preset: str) -> JobSettings:
    return choose_settings(replace(options, preset=preset), load_preset(preset).quality, os.environ)


def _digest(source: Path, info: SourceInfo, start: int | None, stop: int | None, place: Path) -> str:
    path = place / "digest.f32"
    try:
        return content_digest(load_recording(source, path, start or 0, stop))
    finally:
        path.unlink(missing_ok=True)


def _spec(
    source: Path,
    out_dir: Path,
    options: JobOptions,
    preset: str,
    how: JobSettings,
    start: int | None,
    stop: int | None,
) -> JobSpec:
    return JobSpec(
        source=source,
        out_dir=out_dir,
        start_frame=start,
        stop_frame=stop,
        preset=preset,
        model=how.model,
        options=how.separation,
        seed=options.seed,
        output_format=how.output_format,
        device=options.device,
        # A version that moved is heard all the same: the page says so in red.
        force=True,
    )


def _finished(spec: JobSpec, beside: Path, digest: str) -> JobFolder | None:
    """The same job, done before beside the recording or in an earlier comparison."""
    model = model_for(spec, None)
    name = job_name(spec.source)
    key = job_key(spec, digest, load_preset(spec.preset), model, name)
    for folder in (beside, spec.out_dir):
        try:
            found = find_finished(folder, name, key)
        except OutputError:
            continue
        if found is not None:
            return JobFolder.open(found[0])
    return None


def _run(spec: JobSpec, info: SourceInfo, options: JobOptions, models: WarmModels) -> JobFolder:
    frames = (spec.stop_frame or info.frames) - (spec.start_frame or 0)
    with job_progress(frames / info.sample_rate, options.quiet) as progress, stop_on_signals(progress):
        result = run_job(spec, progress, models)
    if progress.cancelled:
        raise Cancelled
    if result.manifest.mix is None:
        raise InputError(f"{result.folder} holds no mix.", "Run the comparison again.")
    return JobFolder.open(result.folder)

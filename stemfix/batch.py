"""run_batch: what `enhance` and `separate` do with their recordings, one after the other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from engine.audio.read import probe
from engine.errors import Cancelled, OptionError
from engine.job import JobSpec
from engine.models import WarmModels
from engine.pipeline import JobResult, run_job
from engine.plan import plan_job
from engine.processors.presets import load as load_preset
from engine.source_range import frame_range
from stemfix.console import say, say_json
from stemfix.failure import Settings, failure, report_failure
from stemfix.inputs import NoSource, Source, find_sources
from stemfix.interrupt import stop_on_signals
from stemfix.live import job_progress
from stemfix.options import JobOptions
from stemfix.queue_access import open_queue
from stemfix.settings import choose_settings
from stemfix.show import show_plan, show_result
from stemfix.text import plain
from stemfix.weights_gate import ensure_weights

if TYPE_CHECKING:
    from engine.queue.client import QueueClient
    from stemfix.queued import QueuedJob

#: Start and stop; None for the recording's own.
Frames = tuple[int | None, int | None]


class _Batch:
    """One command: what it was asked, what it settled on, and how it went so far."""

    def __init__(self, options: JobOptions, settings: Settings) -> None:
        self.options = options
        self.settings = settings
        self.chosen = choose_settings(options, load_preset(options.preset).quality, os.environ)
        self.done = 0
        self.failed: list[str] = []
        self.status = 0
        self._weights_are_there = False
        self.models = WarmModels()
        self.queued: list[QueuedJob] = []

    def ensure_weights(self) -> None:
        """Once, before the first recording that can be read: so a bad file is refused before a pull."""
        if not self._weights_are_there and not self.options.dry_run:
            for note in self.chosen.notes:
                self.say(f"Note: {note}")
            self.chosen = ensure_weights(self.chosen, self.options, self.settings.arguments)
        self._weights_are_there = True

    def fail(self, error: BaseException, path: Path) -> None:
        """Report one recording's failure; the batch goes on."""
        self.failed.append(str(path))
        self.status = max(self.status, report_failure(error, self.settings))
        if self.options.as_json:
            line, status = failure(error)
            say_json({"source": str(path), "error": {"message": line, "exit_status": status}})

    def say(self, line: str) -> None:
        """Tell the user something on the way."""
        if not self.options.quiet:
            say(line, error=True)

    def say_number(self, number: int, total: int, path: Path) -> None:
        """Which one of several recordings comes now."""
        if total > 1:
            self.say(f"[{number}/{total}] {plain(str(path))}")

    def summarise(self, total: int, what: str = "done") -> None:
        """One line at the end of several."""
        if total > 1:
            failures = f", {len(self.failed)} failed: {plain(', '.join(self.failed))}" if self.failed else ""
            self.say(f"{self.done} of {total} {what}{failures}.")


def run_batch(options: JobOptions, settings: Settings) -> int:
    """Do all jobs and return the worst exit status. Raises StemfixError for what concerns all of them."""
    if options.wait and not options.queue:
        raise OptionError("--wait goes with --queue.", "Without --queue the command waits anyway.")
    batch = _Batch(options, settings)
    sources = list(find_sources(options.inputs, options.out, options.recursive))
    if options.queue and not options.dry_run:
        with open_queue() as queue:
            _each(batch, sources, lambda *job: _submit(batch, queue, *job))
        return _after_submission(batch, len(sources))
    _each(batch, sources, lambda *job: _do(batch, *job))
    batch.summarise(len(sources))
    return batch.status


def _each(
    batch: _Batch, sources: list[Source | NoSource], do: Callable[[Source, Frames, float], None]
) -> None:
    """`do` with every recording that can be read, its range, and that range's seconds."""
    options = batch.options
    for number, source in enumerate(sources, start=1):
        if not batch.options.queue:
            batch.say_number(number, len(sources), source.path)
        if isinstance(source, NoSource):
            batch.fail(source.error, source.path)
            continue
        try:
            info = probe(source.path)
            frames = options.time_range.frames(info.sample_rate)
            start, stop = frame_range(_spec(batch, source, frames), info)
        except Exception as error:
            batch.fail(error, source.path)
            continue
        batch.ensure_weights()
        try:
            do(source, frames, (stop - start) / info.sample_rate)
            batch.done += 1
        except (Cancelled, BrokenPipeError):
            batch.summarise(len(sources))
            raise
        except Exception as error:
            batch.fail(error, source.path)


def _submit(batch: _Batch, queue: QueueClient, source: Source, frames: Frames, seconds: float) -> None:
    from stemfix.queued import submit_job

    batch.queued.append(submit_job(queue, _spec(batch, source, frames), source.path, seconds))
    if batch.options.as_json and not batch.options.wait:
        say_json({"source": str(source.path), "job_id": batch.queued[-1].job_id})
    elif not (batch.options.quiet or batch.options.wait):
        say(batch.queued[-1].job_id)


def _after_submission(batch: _Batch, total: int) -> int:
    """See that an engine runs, and wait if that was asked for."""
    from engine.service.autostart import NoEngineError, ensure_engine
    from stemfix.queued import StoppedWaitingError, follow_job

    options = batch.options
    if batch.queued:
        ensure_engine()
    if not batch.queued or not options.wait:
        batch.summarise(total, "queued")
        return batch.status
    batch.done = 0
    with open_queue() as queue:
        for number, job in enumerate(batch.queued, start=1):
            batch.say_number(number, len(batch.queued), job.path)
            try:
                _show(batch, job.path, follow_job(queue, job, options.quiet))
                batch.done += 1
            except (StoppedWaitingError, NoEngineError, BrokenPipeError):
                raise
            except Exception as error:
                batch.fail(error, job.path)
    batch.summarise(total)
    return batch.status


def _do(batch: _Batch, source: Source, frames: Frames, seconds: float) -> None:
    options = batch.options
    spec = _spec(batch, source, frames)
    if options.dry_run:
        plan = plan_job(spec)
        if options.as_json:
            say_json({"source": str(source.path), "plan": _as_json(plan)})
        elif not options.quiet:
            show_plan(plan)
        return
    with job_progress(seconds, options.quiet) as progress, stop_on_signals(progress):
        result = run_job(spec, progress, batch.models)
    _show(batch, source.path, result)


def _show(batch: _Batch, path: Path, result: JobResult) -> None:
    if batch.options.as_json:
        say_json(_result_json(path, result))
    elif not batch.options.quiet:
        show_result(result)


def _spec(batch: _Batch, source: Source, frames: Frames) -> JobSpec:
    options, chosen = batch.options, batch.chosen
    try:
        return JobSpec(
            source=source.path.absolute(),
            out_dir=source.out_dir.absolute(),
            start_frame=frames[0],
            stop_frame=frames[1],
            preset=options.preset,
            model=chosen.model,
            options=chosen.separation,
            seed=options.seed,
            stems=options.stems,
            write_mix=options.write_mix,
            residual=options.residual,
            output_format=chosen.output_format,
            device=options.device,
            use_cache=options.use_cache,
            force=options.force,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise OptionError(f"The option '{where}' can't be served: {first['msg']}.") from None


def _result_json(path: Path, result: JobResult) -> dict[str, Any]:
    return {
        "source": str(path),
        "folder": str(result.folder),
        "already_done": result.already_done,
        "manifest": _as_json(result.manifest),
        "report": _as_json(result.report),
    }


def _as_json(model: BaseModel) -> Any:
    return json.loads(model.model_dump_json())

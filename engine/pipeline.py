"""run_job: the one place that tells the whole story, from a recording to enhanced stems that did not move.

    read -> repair the whole recording -> separate (or take from the cache) -> give the residual back, so that
    the stems sum to the mix -> enhance each stem with its own chain -> mix down -> prove that nothing moved
    -> publish by one rename

A job of the model `whole` is not separated: the (repaired) recording is its only stem, `song`.

What `run_job` delivers is a pure function of its spec, its input samples and the model's weights: same in,
same bytes out on one machine as it is tuned, and within the spec's precision on any other. Each step leaves
its audio in the job's work folder and returns the rest as plain data, so a durable queue can run the same
steps and, when a process was killed, go on after the last finished one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from engine.alignment.proof import prove
from engine.audio.loudness import Loudness
from engine.audio.read import content_digest, probe, read_audio
from engine.job import JobSpec, Manifest, Report
from engine.job_audio import JobAudio
from engine.libraries import SCIPY, load
from engine.mixdown import make_mix
from engine.models import WHOLE, ModelProvider, model_for
from engine.needs import disk_needed, wanted_stems
from engine.processors.chain import run_chain
from engine.processors.presets import load as load_preset
from engine.processors.presets import processors
from engine.progress import Progress, Stage
from engine.publish import Delivery, find_finished, job_key, make_report, write_results
from engine.repair.phase_repair import kept_channel
from engine.separation.cache import default_cache, stem_key
from engine.separation.stems import ResidualMode, separate_stems
from engine.source_range import frame_range
from engine.steps import Aligned, Enhanced, Read, Repaired, Separated
from engine.workspace import Workspace, job_name
from presets.preset import SONG


@dataclass(frozen=True)
class JobResult:
    """Where a finished job's files are and what is in them."""

    folder: Path
    manifest: Manifest
    #: What a job says of its own run; a job that was done before has its first run's report.
    report: Report
    already_done: bool = False


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
    job = Job(spec, progress, models)
    with Workspace(spec.out_dir, job.name, job.disk_bytes) as work:
        read = job.read(work)
        if finished := job.finished(read):
            return finished
        repaired = job.repair(work, read)
        separated = job.separate(work, repaired)
        enhanced = job.enhance(work, separated)
        aligned = job.align(work, enhanced)
        return job.publish(work, read, separated, enhanced, aligned)


class Job:
    """One job's steps. Each may be run again: it first clears what an interrupted run of itself left behind.

    Making one checks the spec against the source's header, the preset and the model. Raises StemfixError.
    """

    def __init__(
        self, spec: JobSpec, progress: Progress | None = None, models: ModelProvider | None = None
    ) -> None:
        self.spec = spec
        self.name = job_name(spec.source)
        self.info = probe(spec.source)
        self.start, self.stop = frame_range(spec, self.info)
        self.preset = load_preset(spec.preset)
        self.model = model_for(spec, models)
        self.wanted = wanted_stems(spec, self.model)
        self.disk_bytes = disk_needed(self.stop - self.start, self.info.channels)
        self._progress = progress or Progress()
        self._notes: list[str] = []

    def read(self, work: Workspace) -> Read:
        """Decode the range at its own rate; what it holds decides the job's key."""
        with self._step("read") as clock:
            source = read_audio(
                self.info, self.start, self.stop, work.fresh_file("source.f32"), self._progress
            )
            digest = content_digest(source)
        key = job_key(self.spec, digest, self.preset, self.model, self.name)
        return Read(digest=digest, key=key, seconds=clock.seconds, notes=self._taken_notes())

    def finished(self, read: Read) -> JobResult | None:
        """The results of the same job done before, if they are there whole."""
        found = find_finished(self.spec.out_dir, self.name, read.key)
        return JobResult(*found, already_done=True) if found else None

    def repair(self, work: Workspace, read: Read) -> Repaired:
        """Run the preset's repairs over the whole recording; what they leave is what is separated."""
        chain = processors(self.preset.repair)
        if not chain:
            return Repaired(digest=read.digest, changed=False)
        digest = read.digest
        with self._step("repair") as clock:
            folder = work.fresh_folder("repair")
            path = folder / "repaired.f32"
            repaired, reports = run_chain(chain, self._audio(work).source, path, folder, self._progress)
            if repaired.path == path:
                digest = content_digest(repaired)
        return Repaired(
            digest=digest,
            changed=digest != read.digest,
            reports=reports,
            seconds=clock.seconds,
            notes=self._taken_notes(),
        )

    def separate(self, work: Workspace, repaired: Repaired) -> Separated:
        """Make the stems before their chains, which sum to what was repaired: from the cache or the model."""
        if self.model.name == WHOLE:
            return Separated(repaired=repaired, stems=(SONG,), residual_db=None, cache="off", device="none")
        spec = self.spec
        cache = default_cache() if spec.use_cache else None
        # Where less than the whole model gives what is wanted, no residual is known to be shared.
        part = self.model.part(self.wanted) if spec.residual == "share" else None
        model = part or self.model
        residual: ResidualMode = "rest" if part else spec.residual
        key = stem_key(
            source_digest=repaired.digest,
            model_digest=model.digest,
            options=spec.options,
            seed=spec.seed,
            residual=residual,
        )
        with self._step("separate") as clock:
            folder = work.fresh_folder("stems")
            cached = cache.get(key, folder, self._progress.check) if cache else None
            device = "none"
            if cached:
                stems, residual_db = cached.buffers, cached.residual_db
            else:
                separator = model.load(self._note)
                made = separate_stems(
                    self._audio(work).recording(repaired),
                    separator,
                    folder,
                    seed=spec.seed,
                    residual=residual,
                    progress=self._progress,
                )
                stems, residual_db = made.buffers, made.residual_db
                device = getattr(separator, "device", "unknown")
                if cache:
                    cache.put(key, stems, residual_db, self._progress.check)
        return Separated(
            repaired=repaired,
            stems=tuple(stems),
            residual_db=residual_db,
            cache="hit" if cached else "miss" if cache else "off",
            device=device,
            seconds=clock.seconds,
            notes=self._taken_notes(),
        )

    def enhance(self, work: Workspace, separated: Separated) -> Enhanced:
        """Run each wanted stem's chain, then mix all stems down; the others stay as they are in the mix."""
        chains = {stem: processors(self.preset.chains.get(stem, ())) for stem in self.wanted}
        todo = [stem for stem in self.wanted if chains[stem]]
        before = self._audio(work).stems(separated)
        with self._step("enhance") as clock:
            folder = work.fresh_folder("enhanced")
            after = dict(before)
            result = Enhanced(separated=separated, reports={stem: [] for stem in self.wanted})

            # Its arithmetic runs outside Python's lock, so threads are enough; no result depends on them.
            with ThreadPoolExecutor(max_workers=min(len(todo) or 1, os.cpu_count() or 1)) as pool:

                def enhance(stem: str) -> None:
                    after[stem], result.reports[stem] = run_chain(
                        chains[stem], before[stem], folder / f"{stem}.f32", folder, self._progress
                    )

                for count, _ in enumerate(pool.map(enhance, todo), start=1):
                    self._progress.update("enhance", count, len(todo) + self.spec.write_mix)
            result.changed = tuple(stem for stem in before if after[stem] is not before[stem])
            if self.spec.write_mix:
                source = self._audio(work).source
                mix, result.mix = make_mix(
                    list(after.values()), source, self.preset.mix, folder, self._progress
                )
                if mix.path is not None:
                    mix.path.rename(folder / "mix.f32")
                self._progress.update("enhance", len(todo) + 1, len(todo) + 1)
        result.seconds, result.notes = clock.seconds, self._taken_notes()
        return result

    def align(self, work: Workspace, enhanced: Enhanced) -> Aligned:
        """Prove that nothing moved. Raises AlignmentError where something did, unless the job is forced."""
        with self._step("align") as clock:
            repaired = enhanced.separated.repaired
            proof = prove(
                self._audio(work).recording(repaired),
                self._audio(work).stems(enhanced.separated),
                self._audio(work).enhanced(enhanced),
                self.wanted,
                self._audio(work).mix if self.spec.write_mix else None,
                self._progress,
                self._audio(work).source if repaired.changed else None,
                kept_channel(repaired.reports),
            )
            proof.require(self.spec.force)
        return Aligned(proof=proof, seconds=clock.seconds, notes=self._taken_notes())

    def publish(
        self, work: Workspace, read: Read, separated: Separated, enhanced: Enhanced, aligned: Aligned
    ) -> JobResult:
        """Write the files, the report and last the manifest, and rename the whole folder into place."""
        if finished := self.finished(read):
            return finished  # an interrupted run of this step had come as far as the rename
        after = self._audio(work).enhanced(enhanced)
        delivery = Delivery(
            spec=self.spec,
            info=self.info,
            range=(self.start, self.stop),
            name=self.name,
            preset=self.preset,
            model=self.model,
            read=read,
            repaired=separated.repaired,
            residual_db=separated.residual_db,
            stems={stem: after[stem] for stem in self.wanted},
            mix=self._audio(work).mix if self.spec.write_mix else None,
            mix_loudness=Loudness(**enhanced.mix["loudness"]["mix"]) if enhanced.mix else None,
            proof=aligned.proof,
        )
        with self._step("publish") as clock:
            work.fresh_folder("results")
            manifest = write_results(delivery, work.results, self._progress)
        steps = (read, separated.repaired, separated, enhanced, aligned)
        report = make_report(delivery, steps, clock.seconds)
        return JobResult(delivery.publish(work, manifest, report), manifest, report)

    def _audio(self, work: Workspace) -> JobAudio:
        return JobAudio(work, self.info.channels, self.stop - self.start, self.info.sample_rate)

    def _note(self, message: str) -> None:
        self._notes.append(message)
        self._progress.note(message)

    def _taken_notes(self) -> list[str]:
        notes, self._notes = self._notes, []
        return notes

    @contextmanager
    def _step(self, stage: Stage) -> Iterator[_Clock]:
        self._progress.check()
        if stage != "read":  # which needs none of it, and a job that was done before is over then
            load(*SCIPY)
        self._progress.update(stage, 0, 1)
        clock = _Clock()
        yield clock
        clock.seconds = round(perf_counter() - clock.began, 3)


class _Clock:
    """How long a step took."""

    def __init__(self) -> None:
        self.began = perf_counter()
        self.seconds = 0.0

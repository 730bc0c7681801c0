"""build_page: jobs of one recording become one HTML file, from reading to the rename into place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.audio.read import content_digest
from engine.errors import InputError, OptionError
from engine.files import output_errors
from engine.models import WHOLE
from engine.progress import Progress
from engine.report.assemble import assemble_page, top_hz
from engine.report.job_folder import JobFolder
from engine.report.metric_words import measured_span
from engine.report.page_file import PAGE_FILE, publish_page, refuse_foreign, write_page
from engine.report.recording import excerpt_of, load_recording
from engine.report.stem_sum import stem_sum
from engine.report.track import Track, make_track
from engine.report.versions import Gathered, TrackSource, gather, same_recording
from engine.separation.cache import default_cache, stem_key

#: A page holds so much of a longer recording: what a telephone still opens.
MAX_MINUTES = 15


@dataclass(frozen=True)
class PageOptions:
    """What the page is to hold."""

    stems: bool = False
    full_quality: bool = False
    #: Seconds of the jobs' range; None for its beginning or end.
    start_s: float | None = None
    stop_s: float | None = None
    #: Seconds from the middle of the mixes that are measured as `stemfix metrics` does; None for all of them.
    measured_s: float | None = 30.0
    #: What the listener should know.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuiltPage:
    """The page that was written."""

    path: Path
    bytes: int
    notes: list[str]


def build_page(
    jobs: Sequence[JobFolder],
    folder: Path,
    options: PageOptions,
    plain: JobFolder | None = None,
    progress: Progress | None = None,
) -> BuiltPage:
    """Write `comparison.html` into `folder`, which must exist; nothing else there is touched.

    With `options.full_quality` the folder `comparison-audio` beside it holds the audio as FLAC. A page that
    stemfix made before is replaced; a foreign file of that name is not.

    Args:
        jobs: at least one, all of one recording and range.
        folder: where the page goes.
        options: what it holds.
        plain: a job of the same recording without effects: its stems are the original's. Without it they
            are taken from the cache of separated stems, if they are still there.
        progress: asked for cancellation.

    Raises:
        StemfixError: with one sentence; nothing was written then.
    """
    progress = progress or Progress()
    manifest = same_recording(jobs)
    target = folder / PAGE_FILE
    refuse_foreign(target)
    rate = manifest.source.sample_rate
    excerpt, notes = _excerpt(manifest.source.stop_frame - manifest.source.start_frame, rate, options)
    with (
        output_errors(folder),
        tempfile.TemporaryDirectory(prefix=".comparison.partial-", dir=folder) as place,
    ):
        work = Path(place)
        original, problem = _original(jobs[0], excerpt, work)
        stems: Mapping[str, Path | AudioBuffer] = {}
        if original is not None and options.stems:
            stems = plain.stems if plain is not None else _cached_stems(jobs, excerpt, work)
        sums = {
            job.path: stem_sum(job, excerpt, work / f"sum-{n}") for n, job in enumerate(jobs) if not job.mix
        }
        gathered = gather(
            jobs, original, stems, {at: made for at, (made, _) in sums.items()}, excerpt, options.stems
        )
        notes += [note for _, note in sums.values()]
        gathered.notes += [*options.notes, *notes, *([problem] if problem else [])]
        audio = work / "audio" if options.full_quality else None
        tracks = _make_tracks(gathered, rate, work, audio, options.measured_s, progress)
        span = measured_span(excerpt[1] - excerpt[0], rate, options.measured_s)
        page = assemble_page(manifest, gathered, tracks, excerpt, span, audio is not None)
        whole = write_page(page, [tracks[source.id].embedded for source in gathered.tracks], work / PAGE_FILE)
        progress.check()
        publish_page(whole, audio, target)
    return BuiltPage(target, target.stat().st_size, gathered.notes)


def _excerpt(frames: int, rate: int, options: PageOptions) -> tuple[tuple[int, int], list[str]]:
    """The frames that the page holds, and a sentence where that is less than was asked for."""
    start = round((options.start_s or 0.0) * rate)
    stop = frames if options.stop_s is None else min(round(options.stop_s * rate), frames)
    if not 0 <= start < stop:
        raise OptionError(
            f"The recording is {frames / rate:.1f} s long; there is nothing from {start / rate:g} s on.",
            "Choose a range within it.",
        )
    limit = MAX_MINUTES * 60 * rate
    if stop - start <= limit:
        return (start, stop), []
    note = (
        f"The recording is {(stop - start) / rate / 60:.0f} minutes long; this page holds the first "
        f"{MAX_MINUTES} of them. Choose others with --range."
    )
    return (start, start + limit), [note]


def _original(job: JobFolder, excerpt: tuple[int, int], work: Path) -> tuple[AudioBuffer | None, str]:
    """The excerpt of the recording that the job was made from, or why it can't be heard."""
    source = job.manifest.source
    try:
        buffer = load_recording(job.source, work / "original.f32", source.start_frame, source.stop_frame)
    except InputError:
        return None, f"The original is not at {source.path} any more, so the versions stand alone."
    if content_digest(buffer) != source.digest:
        return None, f"{source.path} has changed since the job, so the versions stand alone."
    return excerpt_of(buffer, *excerpt, work / "original-excerpt.f32"), ""


def _cached_stems(jobs: Sequence[JobFolder], excerpt: tuple[int, int], work: Path) -> dict[str, AudioBuffer]:
    """The original's stems from the cache; {} if it has none, or only those of a repaired recording."""
    for job in jobs:
        manifest = job.manifest
        if manifest.repaired or manifest.model.name == WHOLE:
            continue
        key = stem_key(
            source_digest=manifest.source.digest,
            model_digest=manifest.model.digest,
            options=manifest.model.options,
            seed=manifest.model.seed,
            residual=manifest.residual,
        )
        folder = work / "cached"
        folder.mkdir(exist_ok=True)
        if found := default_cache().get(key, folder):
            return {
                name: excerpt_of(buffer, *excerpt, folder / f"{name}-excerpt.f32")
                for name, buffer in found.buffers.items()
            }
    return {}


def _make_tracks(
    gathered: Gathered,
    rate: int,
    work: Path,
    audio: Path | None,
    measured_s: float | None,
    progress: Progress,
) -> dict[str, Track]:
    def one(source: TrackSource) -> Track:
        return make_track(source, top_hz(rate), work, audio, measured_s, progress.check)

    # Decoding, transforms and encoding run outside Python's lock.
    with ThreadPoolExecutor(max_workers=max(2, min(4, os.cpu_count() or 1))) as pool:
        made = list(pool.map(one, gathered.tracks))
    return {track.data.id: track for track in made}

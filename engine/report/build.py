"""build_page: jobs of one recording become one HTML file, from reading to the rename into place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.audio.read import content_digest
from engine.errors import InputError, OptionError, OutputError
from engine.files import output_errors, sync_folder
from engine.models import WHOLE
from engine.progress import Progress
from engine.report.chunks import CHUNK_S, MARGIN_S, page_rate
from engine.report.job_folder import JobFolder
from engine.report.matching import Level, match_gains_db
from engine.report.page_model import LoudnessRow, Page, SpectrogramScale, VersionData
from engine.report.pictures import FLOOR_DB, STEP_DB
from engine.report.recording import excerpt_of, load_recording
from engine.report.stem_sum import stem_sum
from engine.report.template import MARK, page_parts
from engine.report.track import Track, make_track
from engine.report.versions import Gathered, TrackSource, gather, same_recording
from engine.separation.cache import default_cache, stem_key

PAGE_FILE = "comparison.html"
#: A page holds so much of a longer recording: what a telephone still opens.
MAX_MINUTES = 15
_HIGHEST_HZ = 22_050.0


@dataclass(frozen=True)
class PageOptions:
    """What the page is to hold."""

    stems: bool = False
    full_quality: bool = False
    #: Seconds of the jobs' range; None for its beginning or end.
    start_s: float | None = None
    stop_s: float | None = None
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
    _refuse_foreign(target)
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
        tracks = _make_tracks(gathered, rate, work, audio, progress)
        page = _page(jobs, gathered, tracks, excerpt, rate, audio is not None)
        whole = _write(page, [tracks[source.id].embedded for source in gathered.tracks], work / PAGE_FILE)
        progress.check()
        _publish(whole, audio, target)
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
    progress: Progress,
) -> dict[str, Track]:
    top_hz = min(_HIGHEST_HZ, rate / 2)

    def one(source: TrackSource) -> Track:
        return make_track(source, top_hz, work, audio, progress.check)

    # Decoding, transforms and encoding run outside Python's lock.
    with ThreadPoolExecutor(max_workers=max(2, min(4, os.cpu_count() or 1))) as pool:
        made = list(pool.map(one, gathered.tracks))
    return {track.data.id: track for track in made}


def _page(
    jobs: Sequence[JobFolder],
    gathered: Gathered,
    tracks: dict[str, Track],
    excerpt: tuple[int, int],
    rate: int,
    full_quality: bool,
) -> Page:
    manifest = jobs[0].manifest
    versions = gathered.versions
    _match(versions, tracks)
    for version in versions:
        stems = {row.part: row for row in version.loudness}
        version.loudness = [_row("mix", tracks[version.mix])]
        for name, key in version.stems.items():
            measured = _row(name, tracks[key])
            if known := stems.get(name):
                measured.lufs, measured.true_peak_db = known.lufs, known.true_peak_db
            version.loudness.append(measured)
    clock = page_rate(rate)
    names = list(dict.fromkeys(name for version in versions for name in version.stems))
    return Page(
        title=manifest.name,
        stemfix_version=manifest.stemfix_version,
        song=manifest.source.digest,
        sample_rate=clock,
        frames=-(-(excerpt[1] - excerpt[0]) * clock // rate),
        start_s=(manifest.source.start_frame + excerpt[0]) / rate,
        chunk_s=CHUNK_S,
        margin_s=MARGIN_S,
        stem_names=names,
        versions=versions,
        tracks={key: track.data for key, track in tracks.items()},
        scale=SpectrogramScale(floor_db=FLOOR_DB, step_db=STEP_DB, top_hz=min(_HIGHEST_HZ, rate / 2)),
        full_quality="comparison-audio" if full_quality else None,
        licences=gathered.licences,
        notes=gathered.notes,
    )


def _match(versions: Sequence[VersionData], tracks: dict[str, Track]) -> None:
    """Match the mixes to each other, and each stem to itself in the other versions."""
    groups = [[version.mix for version in versions]]
    for name in {name for version in versions for name in version.stems}:
        groups.append([version.stems[name] for version in versions if name in version.stems])
    for group in groups:
        levels = {key: Level(tracks[key].levels.lufs, tracks[key].levels.true_peak_db) for key in group}
        for key, gain in match_gains_db(levels).items():
            tracks[key].data.match_db = gain


def _row(part: str, track: Track) -> LoudnessRow:
    return track.levels.model_copy(update={"part": part, "match_db": track.data.match_db})


def _write(page: Page, embedded: Sequence[Path], path: Path) -> Path:
    before, after = page_parts(page)
    with open(path, "wb") as file:
        file.write(before.encode())
        for part in embedded:
            with open(part, "rb") as audio:
                shutil.copyfileobj(audio, file)
        file.write(after.encode())
        file.flush()
        os.fsync(file.fileno())
    return path


def _refuse_foreign(target: Path) -> None:
    if not os.path.lexists(target):
        return
    with suppress(OSError), open(target, "rb") as file:
        if MARK in file.read(1 << 16):
            return
    raise OutputError(
        f"{target} is there and was not made by stemfix, so it is not replaced.", "Move it away."
    )


def _publish(page: Path, audio: Path | None, target: Path) -> None:
    """The audio first: a page that is there has all that it names."""
    beside = target.parent / "comparison-audio"
    if audio is not None:
        if beside.exists():
            beside.rename(page.parent / "old-audio")
        audio.rename(beside)
    os.replace(page, target)
    sync_folder(target.parent)

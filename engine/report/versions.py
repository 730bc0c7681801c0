"""gather: finished jobs of one recording become the versions of a page and the tracks to encode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.errors import ModelError, OptionError
from engine.job import Manifest
from engine.models import WHOLE
from engine.report.effect_words import effect_rows
from engine.report.job_folder import JobFolder
from engine.report.page_model import LoudnessRow, VersionData
from engine.report.proof_words import alignment_rows, loudness_row, mix_levels

ORIGINAL = "v0"
#: The stem of a job without separation: the song before its mix.
_SONG = "song"


@dataclass(frozen=True)
class TrackSource:
    """Where a track's samples come from: frames `[start, stop)` of a file."""

    id: str
    file: Path
    start: int
    stop: int
    is_stem: bool
    #: Levels that were measured before; they hold for the whole file only.
    levels: LoudnessRow | None = None
    #: The samples of `[start, stop)`, where they have been read already.
    buffer: AudioBuffer | None = None


@dataclass
class Gathered:
    """Versions, tracks by id and what the listener should know."""

    versions: list[VersionData] = field(default_factory=list)
    tracks: list[TrackSource] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    licences: list[tuple[str, str]] = field(default_factory=list)


def same_recording(jobs: Sequence[JobFolder]) -> Manifest:
    """The first job's manifest. Raises OptionError if the jobs are of different recordings."""
    first = jobs[0].manifest
    for job in jobs[1:]:
        if job.manifest.source.digest != first.source.digest:
            raise OptionError(
                f"{jobs[0].path.name} and {job.path.name} were made from different recordings.",
                "Compare jobs of one recording and one range.",
            )
    return first


def gather(
    jobs: Sequence[JobFolder],
    original: AudioBuffer | None,
    original_stems: Mapping[str, Path | AudioBuffer],
    sums: Mapping[Path, AudioBuffer],
    excerpt: tuple[int, int],
    with_stems: bool,
) -> Gathered:
    """The original, if it is there, and one version per job.

    Args:
        jobs: of one recording.
        original: what `excerpt` holds of the recording that they were made from, if that is there.
        original_stems: its stems before any chain, by name: as files or as `excerpt` of them.
        sums: what the jobs without a mix are heard as, by their folders: `excerpt` of it.
        excerpt: first and last frame of the page, within the jobs' range.
        with_stems: take the jobs' stems too.
    """
    gathered = Gathered()
    source = jobs[0].manifest.source
    offset = source.start_frame
    start, stop = excerpt
    whole = (start, stop) == (0, source.stop_frame - source.start_frame)
    if original is not None:
        version = VersionData(
            id=ORIGINAL, name="Original", description="The recording as it came in.", mix=""
        )
        levels = mix_levels(jobs[0].report, "source") if whole else None
        span = (offset + start, offset + stop)
        version.mix = _add(gathered, ORIGINAL, jobs[0].source, span, levels, buffer=original)
        for name, audio in original_stems.items():
            file, buffer = (audio, None) if isinstance(audio, Path) else (jobs[0].source, audio)
            version.stems[name] = _add(
                gathered, f"{ORIGINAL}-{name}", file, excerpt, None, is_stem=True, buffer=buffer
            )
        gathered.versions.append(version)
    names = _names(jobs)
    for number, (job, name) in enumerate(zip(jobs, names, strict=True), start=1):
        heard = sums.get(job.path)
        gathered.versions.append(
            _version(gathered, job, heard, f"v{number}", name, excerpt, whole, with_stems)
        )
    _licences(gathered, jobs)
    return gathered


def _version(
    gathered: Gathered,
    job: JobFolder,
    heard: AudioBuffer | None,
    key: str,
    name: str,
    excerpt: tuple[int, int],
    whole: bool,
    with_stems: bool,
) -> VersionData:
    manifest, report = job.manifest, job.report
    rate = manifest.source.sample_rate
    start_s, end_s = excerpt[0] / rate, excerpt[1] / rate
    levels = mix_levels(report, "mix") if whole else None
    mix = _add(gathered, key, job.mix or job.path, excerpt, levels, buffer=heard)
    mix_report = report.get("mix") or {}
    effects = effect_rows("recording", report.get("repairs") or [], start_s, end_s)
    for part, reports in (report.get("chains") or {}).items():
        effects += effect_rows(str(part), reports, start_s, end_s)
    effects += effect_rows("mix", mix_report.get("chain") or [], start_s, end_s)
    version = VersionData(
        id=key,
        name=name,
        preset=manifest.preset,
        description=_description(manifest),
        mix=mix,
        stems_to_mix_db=float(mix_report.get("gain_db") or 0.0),
        alignment=alignment_rows(report),
        null_rms_db=manifest.null_rms_db,
        null_peak_db=manifest.null_peak_db,
        verdict=manifest.verdict,
        effects=effects,
        about=_about(job),
        job_key=manifest.job_key,
    )
    if with_stems and manifest.model.name != WHOLE:
        for stem in manifest.stems:
            measured = {"lufs": stem.lufs, "true_peak_db": stem.true_peak_db} if whole else None
            version.stems[stem.name] = _add(
                gathered, f"{key}-{stem.name}", job.path / stem.file, excerpt, measured, is_stem=True
            )
    return version


def _add(
    gathered: Gathered,
    key: str,
    file: Path,
    span: tuple[int, int],
    levels: dict[str, float | None] | None,
    is_stem: bool = False,
    buffer: AudioBuffer | None = None,
) -> str:
    row = loudness_row("mix", levels) if levels is not None else None
    gathered.tracks.append(TrackSource(key, file, span[0], span[1], is_stem, row, buffer))
    return key


def _names(jobs: Sequence[JobFolder]) -> list[str]:
    """The presets' names, with the model or a number where two would be alike."""
    names = [job.manifest.preset for job in jobs]
    if len(set(names)) < len(names):
        names = [f"{name}, {job.manifest.model.name}" for name, job in zip(names, jobs, strict=True)]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return unique


def _description(manifest: Manifest) -> str:
    """The preset's own words, as long as it is the preset that the job was made with."""
    from engine.processors.presets import load

    try:
        preset = load(manifest.preset)
    except OptionError:
        return ""
    return preset.description if preset.digest == manifest.preset_digest else ""


def _about(job: JobFolder) -> list[tuple[str, str]]:
    manifest = job.manifest
    options = manifest.model.options
    versions = job.report.get("versions") or {}
    about = [
        ("Preset", f"{manifest.preset} ({manifest.preset_digest[:12]})"),
        ("Model", f"{manifest.model.name} ({manifest.model.digest[:12]})"),
        ("Overlap, shifts", f"{options.overlap:g}, {options.shifts}"),
        ("Seed", str(manifest.model.seed)),
        ("Left over", _left_over(manifest)),
        ("Verdict", manifest.verdict),
        ("Files", (manifest.mix or manifest.stems[0]).output_format.value),
        ("Computed on", str(job.report.get("device", ""))),
        ("Job", manifest.job_key[:16]),
        ("Versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    about += [("Note", str(note)) for note in job.report.get("notes") or []]
    return [(name, value) for name, value in about if value]


def _left_over(manifest: Manifest) -> str:
    if manifest.residual_db is None:
        return ""
    where = "shared out over the stems" if manifest.residual == "share" else "a stem of its own"
    return f"{manifest.residual_db:.1f} dB of the mix, {where}"


def _licences(gathered: Gathered, jobs: Sequence[JobFolder]) -> None:
    from engine.separation.registry import card

    for model in dict.fromkeys(job.manifest.model.name for job in jobs):
        try:
            gathered.licences.append((model, card(model).licence))
        except ModelError:
            continue  # a model of another version of stemfix, or none at all

"""assemble_page: versions and finished tracks become the page's data, with everything equally loud."""

from __future__ import annotations

from collections.abc import Sequence

from engine.job import Manifest
from engine.report.chunks import CHUNK_S, MARGIN_S, page_rate
from engine.report.matching import Level, match_gains_db
from engine.report.page_file import AUDIO_FOLDER
from engine.report.page_model import LoudnessRow, Page, SpectrogramScale, VersionData
from engine.report.pictures import FLOOR_DB, STEP_DB
from engine.report.track import Track
from engine.report.versions import Gathered

#: Nothing above is heard.
_HIGHEST_HZ = 22_050.0


def top_hz(sample_rate: int) -> float:
    """The highest frequency that the pictures show."""
    return min(_HIGHEST_HZ, sample_rate / 2)


def assemble_page(
    manifest: Manifest,
    gathered: Gathered,
    tracks: dict[str, Track],
    excerpt: tuple[int, int],
    measured: tuple[int, int],
    full_quality: bool,
) -> Page:
    """The page's data.

    Args:
        manifest: of one of the jobs.
        gathered: the versions; their loudness and measures are filled in here.
        tracks: all of them by id; their gains are set here.
        excerpt: first and last frame of the page in the jobs' range.
        measured: first and last frame of the page that were measured.
        full_quality: whether there is a folder with the audio as FLAC.
    """
    rate = manifest.source.sample_rate
    versions = gathered.versions
    _match(versions, tracks)
    for version in versions:
        version.loudness = [_row("mix", tracks[version.mix])]
        version.loudness += [_row(name, tracks[key]) for name, key in version.stems.items()]
        version.metrics = tracks[version.mix].metrics
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
        scale=SpectrogramScale(floor_db=FLOOR_DB, step_db=STEP_DB, top_hz=top_hz(rate)),
        full_quality=AUDIO_FOLDER if full_quality else None,
        measured_s=(measured[0] / rate, measured[1] / rate),
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

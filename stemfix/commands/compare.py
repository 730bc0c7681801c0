"""`stemfix compare`: versions of a song on one page, side by side and equally loud."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stemfix.failure import Settings
from stemfix.page_options import page_options

if TYPE_CHECKING:
    from engine.report.build import PageOptions
    from engine.report.job_folder import JobFolder
    from stemfix.options import JobOptions

_PATH = click.Path(path_type=Path)


def _presets(ctx: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise click.BadParameter("name at least one preset, such as fast,maximum")
    if len(names) > 8:
        raise click.BadParameter("at most 8 presets fit on a page beside the original")
    return names


@click.command("compare")
@click.argument("what", nargs=-1, required=True, metavar="SONG | JOB...")
@click.option(
    "--presets",
    default="fast,balanced,maximum",
    show_default=True,
    callback=_presets,
    metavar="NAMES",
    help="The versions of SONG, besides the original.",
)
@click.option("--stems", is_flag=True, help="Every version's stems too, for solo and mute.")
@click.option("--out", type=_PATH, metavar="DIR", help="Where the page goes; NAME.compare by default.")
@click.option("--keep", is_flag=True, help="Keep the versions that were made, in DIR/versions.")
@click.option("--quality", metavar="NAME", help="Of the separation, as for 'stemfix enhance'.")
@click.option("--model", metavar="NAME", help="Separation model; see 'stemfix models list'.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, metavar="N", help="Of the separation.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cuda", "mps", "cpu"]),
    default="auto",
    help="What to compute on; by default the fastest that is there.",
)
@click.option("--yes", is_flag=True, envvar="STEMFIX_YES", help="Pull missing weights without asking.")
@page_options
@click.pass_obj
def command(
    settings: Settings, /, what: tuple[str, ...], out: Path | None, excerpt: Any, open_it: bool, **given: Any
) -> None:
    """Write a page on which versions of a song are heard, seen and measured side by side.

    SONG is an audio file: its versions are made, one per preset; stems that were separated before come
    from the cache. JOB is a finished job of one recording: its folder, or its ID; several are compared.
    The page is one file that opens in any browser, off-line, on a telephone too.
    """
    from engine.report.build import PageOptions
    from stemfix.finding_jobs import is_job_folder
    from stemfix.page_options import tell_page

    path = Path(what[0])
    options = PageOptions(
        stems=given["stems"],
        full_quality=given["full_quality"],
        measured_s=None if given["measure_all"] else PageOptions.measured_s,
        start_s=excerpt[0],
        stop_s=excerpt[1],
    )
    if len(what) == 1 and path.exists() and not path.is_dir() and not is_job_folder(path):
        page = _compare_song(path, out, options, given, settings)
    else:
        page = _compare_jobs(what, out, options)
    tell_page(page, open_it, given["quiet"])


def _compare_jobs(names: tuple[str, ...], out: Path | None, options: PageOptions) -> Any:
    from stemfix.finding_jobs import find_job

    jobs = [find_job(name) for name in names]
    folder = out or jobs[0].path.parent / f"{jobs[0].manifest.name}.compare"
    return _build(jobs, folder, options, None)


def _compare_song(
    song: Path, out: Path | None, options: PageOptions, given: dict[str, Any], settings: Settings
) -> Any:
    from dataclasses import replace

    from engine.files import output_errors
    from engine.workspace import job_name
    from stemfix.versions import make_versions

    folder = out or song.absolute().parent / f"{job_name(song)}.compare"
    with output_errors(folder):
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".versions-", dir=folder) as temporary:
            place = folder / "versions" if given["keep"] else Path(temporary)
            place.mkdir(exist_ok=True)
            job_options = _job_options(song, options, given)
            versions = make_versions(job_options, given["presets"], options.stems, place, settings)
            # The jobs hold the range already.
            page = replace(options, start_s=None, stop_s=None, notes=versions.notes)
            return _build(versions.jobs, folder, page, versions.plain)
    finally:
        if made and not any(folder.iterdir()):
            folder.rmdir()


def _build(jobs: list[JobFolder], folder: Path, options: PageOptions, plain: JobFolder | None) -> Any:
    from engine.files import output_errors
    from engine.report.build import build_page
    from stemfix.page_options import build_shown

    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return build_shown(lambda progress: build_page(jobs, folder, options, plain, progress))


def _job_options(song: Path, options: PageOptions, given: dict[str, Any]) -> JobOptions:
    from fractions import Fraction

    from stemfix.options import JobOptions
    from stemfix.time_range import Point, TimeRange

    start, stop = (
        None if at is None else Point(Fraction(at), in_frames=False)
        for at in (options.start_s, options.stop_s)
    )
    return JobOptions(
        inputs=(song,),
        recursive=False,
        quality=given["quality"],
        model=given["model"],
        overlap=None,
        shifts=None,
        segment=None,
        seed=given["seed"],
        stems=None,
        residual="share",
        out=None,
        device=given["device"],
        output_format=None,
        time_range=TimeRange(start, stop),
        use_cache=True,
        force=True,
        yes=given["yes"],
        as_json=False,
        dry_run=False,
        quiet=given["quiet"],
    )

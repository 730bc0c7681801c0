"""`stemfix report`: the comparison page of one finished job, in the job's own folder."""

from __future__ import annotations

import click

from stemfix.page_options import page_options


@click.command("report")
@click.argument("job")
@click.option("--no-stems", is_flag=True, help="The mix only; a smaller page.")
@page_options
def command(
    job: str,
    no_stems: bool,
    full_quality: bool,
    measure_all: bool,
    excerpt: tuple[float | None, float | None],
    open_it: bool,
    quiet: bool,
) -> None:
    """Write comparison.html into the folder of the finished JOB: original against enhanced.

    JOB is a folder of results, or a job's ID. Nothing else in the folder is touched.
    """
    from engine.report.build import PageOptions, build_page
    from stemfix.finding_jobs import find_job
    from stemfix.page_options import build_shown, tell_page

    found = find_job(job)
    options = PageOptions(
        stems=not no_stems,
        full_quality=full_quality,
        measured_s=None if measure_all else PageOptions.measured_s,
        start_s=excerpt[0],
        stop_s=excerpt[1],
    )
    page = build_shown(lambda progress: build_page([found], found.path, options, progress=progress))
    tell_page(page, open_it, quiet)

"""`stemfix enhance`: separate recordings, enhance every stem, and mix them again."""

from __future__ import annotations

from typing import Any

import click

from stemfix.failure import Settings
from stemfix.options import JobOptions, job_options


@click.command("enhance")
@click.option(
    "--preset", default="balanced", metavar="NAME", show_default=True, help="A preset's name, or a file."
)
@job_options
@click.pass_obj
def command(settings: Settings, /, **given: Any) -> int:
    """Separate recordings and enhance every stem.

    INPUT is an audio file, or a folder whose audio files are taken in order. Results go to
    NAME.stemfix beside the source: one file per stem, the enhanced mix, manifest.json and
    report.json. The source is never touched, and nothing is overwritten.
    """
    from stemfix.batch import run_batch

    return run_batch(JobOptions(**given), settings)

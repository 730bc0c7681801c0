"""`stemfix separate`: separate recordings and leave the stems as they are."""

from __future__ import annotations

from typing import Any

import click

from stemfix.failure import Settings
from stemfix.options import JobOptions, job_options


@click.command("separate")
@job_options
@click.pass_obj
def command(settings: Settings, /, **given: Any) -> int:
    """Separate recordings and leave the stems as they are.

    INPUT is an audio file, or a folder whose audio files are taken in order. The stems go to
    NAME.stemfix beside the source, and they sum to it. The source is never touched, and nothing
    is overwritten.
    """
    from stemfix.batch import run_batch

    return run_batch(JobOptions(**given, preset="none", write_mix=False), settings)

"""The options that `enhance` and `separate` share, and the one object that carries them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from engine.audio.output_format import OutputFormat
from engine.quality import QUALITIES
from stemfix.time_range import TimeRange


@dataclass(frozen=True)
class JobOptions:
    """What was said on the command line; None where nothing was."""

    inputs: tuple[Path, ...]
    recursive: bool
    quality: str | None
    model: str | None
    overlap: float | None
    shifts: int | None
    segment: float | None
    seed: int
    stems: tuple[str, ...] | None
    residual: str
    out: Path | None
    device: str
    output_format: OutputFormat | None
    time_range: TimeRange
    use_cache: bool
    force: bool
    yes: bool
    as_json: bool
    dry_run: bool
    quiet: bool
    #: Hand the jobs to the engine instead of doing them here, and perhaps wait for their ends.
    queue: bool = False
    wait: bool = False
    preset: str = "none"
    #: A separation alone has no mix: it would be the source again.
    write_mix: bool = True


def _range(ctx: click.Context, parameter: click.Parameter, text: str | None) -> TimeRange:
    return TimeRange() if text is None else TimeRange.parse(text)


def _stems(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if not names:
        raise click.BadParameter("name at least one stem, such as vocals,drums")
    return names


def _format(ctx: click.Context, parameter: click.Parameter, text: str | None) -> OutputFormat | None:
    return None if text is None else OutputFormat(text)


_PATH = click.Path(path_type=Path)
_OPTIONS = [
    click.argument("inputs", nargs=-1, required=True, type=_PATH, metavar="INPUT..."),
    click.option("--recursive", is_flag=True, help="Search folders below a folder too."),
    click.option(
        "--quality", type=click.Choice(list(QUALITIES)), help="Sets model, overlap, shifts and format."
    ),
    click.option("--model", metavar="NAME", help="Separation model; see 'stemfix models list'."),
    click.option(
        "--overlap",
        type=click.FloatRange(0, 1, max_open=True),
        metavar="SHARE",
        help="Share of a segment that overlaps the next.",
    ),
    click.option("--shifts", type=click.IntRange(0, 64), metavar="N", help="Random shifts to average over."),
    click.option(
        "--segment",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Length of a segment; shorter needs less memory.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="Seed of the random shifts and the dither.",
    ),
    click.option("--stems", callback=_stems, metavar="NAMES", help="Only these, such as vocals,drums."),
    click.option(
        "--residual",
        type=click.Choice(["share", "stem"]),
        default="share",
        help="What the model leaves over: shared out over the stems, or a stem of its own.",
    ),
    click.option("--out", type=_PATH, metavar="DIR", help="Where results go; beside the source by default."),
    click.option(
        "--device",
        type=click.Choice(["auto", "cuda", "mps", "cpu"]),
        default="auto",
        help="What to compute on; by default the fastest that is there.",
    ),
    click.option(
        "--format",
        "output_format",
        type=click.Choice([choice.value for choice in OutputFormat]),
        callback=_format,
        help="Of the files; float32 by default.",
    ),
    click.option(
        "--range",
        "time_range",
        callback=_range,
        metavar="START:END",
        help="Seconds (12.5:30), minutes (1m02.5s:2m), open ends (:30 or 10:) or frames (44100f:88200f).",
    ),
    click.option(
        "--no-cache", "use_cache", is_flag=True, flag_value=False, default=True, help="Separate afresh."
    ),
    click.option("--force", is_flag=True, help="Publish even if a stem moved against itself."),
    click.option("--yes", is_flag=True, envvar="STEMFIX_YES", help="Pull missing weights without asking."),
    click.option("--json", "as_json", is_flag=True, help="One line of JSON per recording on stdout."),
    click.option("--queue", is_flag=True, help="Hand the jobs to the engine, print their ids, and return."),
    click.option("--wait", is_flag=True, help="With --queue: show their progress until they end."),
    click.option("--dry-run", is_flag=True, help="Say what would be done and stop."),
    click.option("--quiet", is_flag=True, help="Say nothing but errors."),
]


def job_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command

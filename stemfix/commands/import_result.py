"""`stemfix import`: put a job's stems into a project file that is not open."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("import")
@click.argument("job")
@click.option(
    "--rpp",
    "project",
    type=click.Path(path_type=Path),
    required=True,
    metavar="SONG.RPP",
    help="The project of REAPER; it is only read.",
)
@click.option("--all", "all_items", is_flag=True, help="Below every item that plays what the job had.")
@click.option("--item", type=click.IntRange(1), metavar="N", help="Below this one of them.")
def command(job: str, project: Path, all_items: bool, item: int | None) -> None:
    """Write a copy of a project with the stems of JOB in it, below the original item.

    JOB is a job's ID, or a folder of results. The copy is 'SONG (stemfix).RPP' beside the project, which
    stays as it is. What can't be done exactly without REAPER is refused.
    """
    from daw_bridge.reaper.project_copy import write_copy
    from engine.errors import OptionError
    from stemfix.console import say
    from stemfix.results import result_of

    if all_items and item is not None:
        raise OptionError("--all and --item exclude each other.", "Give one of them.")
    _, result = result_of(job)
    say(f"Wrote {write_copy(project, result, all_items=all_items, item=item)}")

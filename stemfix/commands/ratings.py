"""`stemfix ratings`: the answers of blind tests, added up per preset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.report.ratings import RatingsTotals


@click.command("ratings")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE|FOLDER...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(paths: tuple[Path, ...], as_json: bool) -> None:
    """Add up what blind tests on comparison pages saved.

    A folder stands for all such files in it and below. Each preset's share of the choices stands beside
    the share that chance would have given it.
    """
    from engine.report.ratings import find_ratings, read_ratings, total
    from stemfix.console import say, say_json
    from stemfix.text import count_text

    totals = total([read_ratings(path) for path in find_ratings(paths)])
    if as_json:
        say_json(totals.model_dump(mode="json"))
        return
    say(f"{count_text(totals.files, 'file')}, {count_text(totals.songs, 'song')}.")
    _show(totals)


def _show(totals: RatingsTotals) -> None:
    from stemfix.console import say, say_table, table
    from stemfix.text import plain

    if totals.presets:
        numbers = ("chosen", "by chance", "p", "clarity", "naturalness", "professional", "ratings")
        rows = table("preset", *numbers, right=numbers)
        for one in totals.presets:
            rows.add_row(
                plain(one.preset),
                f"{one.chosen} of {one.rounds}",
                f"{one.expected:.1f}",
                _number(one.p_value, 4),
                _number(one.clarity, 1),
                _number(one.naturalness, 1),
                _number(one.professional, 1),
                str(one.ratings),
            )
        say()
        say_table(rows)
        say("p: how likely chance alone chooses it at least so often.")
    if totals.abx:
        rows = table("ABX", "right", "p", right=("right", "p"))
        for pair in totals.abx:
            rows.add_row(
                plain(" / ".join(pair.presets)), f"{pair.correct} of {pair.total}", _number(pair.p_value, 4)
            )
        say()
        say_table(rows)
        say("p: how likely guessing alone gets at least so many right.")


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"

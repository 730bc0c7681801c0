"""`stemfix tune`: measure once how this machine separates fastest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.separation.calibration import Calibration


@click.command("tune")
@click.option("--model", metavar="NAME", help="Measure with this model; by default one that is installed.")
@click.option("--show", is_flag=True, help="Show what was measured and change nothing.")
@click.option("--reset", is_flag=True, help="Forget what was measured: PyTorch computes again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: str | None, show: bool, reset: bool, as_json: bool) -> int:
    """Measure once how this machine's processor separates fastest.

    It takes some two minutes; close other programs first. From then on every separation on the CPU is
    computed that way, as precisely as its quality promises. Without it PyTorch computes.
    """
    from engine.separation.calibration import load_calibration, reset_calibration, save_calibration
    from stemfix.console import say, say_json

    if show and reset:
        raise click.UsageError("--show and --reset exclude each other.")
    if reset:
        there = reset_calibration()
        if as_json:
            say_json({"reset": there})
        else:
            say("Forgotten; PyTorch computes again." if there else "Nothing was measured on this machine.")
        return 0
    if show:
        found = load_calibration()
    else:
        from engine.separation.tune import tune

        found = tune(model, lambda message: say(message, error=True))
        save_calibration(found)
    if as_json:
        say_json(None if found is None else {**found.model_dump(mode="json"), "current": found.current})
    elif found is None:
        say("Nothing was measured on this machine yet; PyTorch computes. Run: stemfix tune")
    else:
        _show(found)
    return 0


def _show(found: Calibration) -> None:
    from engine.separation.calibration import calibration_path
    from stemfix.console import say, say_table, table

    say(found.machine)
    when = found.measured_at.replace("T", " ")[:16]
    say(f"{when} UTC, {found.segment_s:.1f} s of music with {found.model}")
    rows = table("Way", "Seconds", "Speed", "SNR, dB", right=("Seconds", "Speed", "SNR, dB"))
    for way in found.measured:
        near = "-" if way.snr_db is None else f"{way.snr_db:.0f}"
        rows.add_row(str(way.backend), f"{way.seconds_per_segment:.2f}", f"{way.speed:.2f}", near)
    say_table(rows)
    say(f"At full precision: {found.chosen['full']}. At reduced precision: {found.chosen['reduced']}.")
    if not found.current:
        say("Packages changed since, so PyTorch computes. Run: stemfix tune")
    say(f"Kept in {calibration_path()}")

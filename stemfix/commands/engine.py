"""`stemfix engine`: the audio engine in the foreground."""

from __future__ import annotations

import click


@click.command("engine")
@click.option(
    "--device",
    type=click.Choice(["auto", "cuda", "mps", "cpu"]),
    help="What to compute on; by default what the configuration says.",
)
@click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input ends.")
def command(device: str | None, supervised: bool) -> int:
    """Run the audio engine here until Ctrl-C.

    It takes jobs from the queue and the spool. 'stemfix up' runs it together with the watched folders.
    """
    import threading

    from engine.config import load_config
    from engine.paths import data_dir
    from engine.service.engine import run_engine
    from stemfix.console import say
    from stemfix.lifeline import hold_lifeline

    stop = threading.Event()
    if supervised:
        hold_lifeline(stop.set)
    settings = load_config().engine
    if device is not None:
        settings = settings.model_copy(update={"device": device})
    if not supervised:
        say(f"The engine serves {data_dir()}. Ctrl-C stops it; unfinished jobs go on next time.", error=True)
    return run_engine(settings, stop=stop)

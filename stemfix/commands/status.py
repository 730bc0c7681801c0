"""`stemfix status`: what the service is doing, live on a terminal."""

from __future__ import annotations

import click


@click.command("status")
@click.option("--once", is_flag=True, help="Print the state once as text; so does a pipe.")
@click.option("--json", "as_json", is_flag=True, help="Print the state once as one JSON object.")
def command(once: bool, as_json: bool) -> int:
    """Watch the engine, the queue, the last results, the watched folders and the bridges.

    On a terminal the monitor goes on until you quit it with q; ? shows its keys. Jobs don't need it.
    """
    import sys

    from stemfix.console import console, say
    from stemfix.queue_access import open_queue

    terminal = console()
    live = terminal.is_terminal and not terminal.is_dumb_terminal and sys.stdin is not None
    if live and sys.stdin.isatty() and not (once or as_json):
        from stemfix.monitor.app import run_monitor

        run_monitor(terminal, open_queue)
        return 0
    from stemfix.monitor.feed import take_snapshot
    from stemfix.monitor.plain import text

    with open_queue() as jobs:
        snapshot = take_snapshot(jobs)
    say(snapshot.model_dump_json() if as_json else text(snapshot))
    return 2 if snapshot.queue is not None and snapshot.queue.problem else 0

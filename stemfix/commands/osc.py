"""`stemfix osc`: jobs over OSC from DAWs and control surfaces on this computer."""

from __future__ import annotations

import click


@click.command("osc")
@click.option("--port", type=click.IntRange(0, 65_535), help="By default what the configuration says.")
@click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input ends.")
def command(port: int | None, supervised: bool) -> None:
    """Take jobs over OSC until Ctrl-C, from programs on this computer alone.

    See docs/osc.md for the messages. 'stemfix up' runs it too if [osc] of the configuration enables it.
    """
    import threading

    from daw_bridge.osc_server import HOST, OscServer
    from engine.config import load_config
    from engine.service.autostart import ensure_engine
    from stemfix.console import say
    from stemfix.interrupt import on_stop_signals
    from stemfix.lifeline import hold_lifeline

    stop = threading.Event()
    if supervised:
        hold_lifeline(stop.set)
    config = load_config()
    server = OscServer(
        config.osc.port if port is None else port, lambda: _enhance_selected(config.osc.reaper_port)
    )
    with on_stop_signals(stop.set):
        if not supervised:
            ensure_engine()
            say(f"Listening for OSC on port {server.port} of {HOST}. Ctrl-C stops it.", error=True)
        server.run(stop)
    counts = server.counts
    ignored = f"{counts.malformed} malformed packets and {counts.unknown} unknown messages"
    say(f"OSC: {counts.served} messages served; {ignored} ignored.", error=True)


def _enhance_selected(reaper_port: int | None) -> None:
    """Run the menu action in the DAW that is open."""
    if reaper_port is not None:
        from daw_bridge.reaper.folders import reaper_folders
        from daw_bridge.reaper.trigger import run_action

        run_action(reaper_folders(), reaper_port)
        return
    from daw_bridge.ardour.trigger import enhance_selected

    enhance_selected()

"""`stemfix ardour`: trigger stemfix's actions in an open Ardour from the terminal."""

from __future__ import annotations

import click


@click.group("ardour")
def command() -> None:
    """Trigger stemfix's actions in an open Ardour."""


@command.command("enhance-selected")
@click.option("--preset", metavar="NAME", help="Instead of the preset that was chosen when installing.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Where Ardour listens; its settings say it.")
@click.option(
    "--ardour", "version", type=click.IntRange(7, 9), help="Which version, if several are installed."
)
def enhance_selected(preset: str | None, port: int | None, version: int | None) -> None:
    """Enhance what is selected in the open Ardour, as its menu action does.

    This needs OSC, which you may switch on in Ardour under Edit > Preferences > Control Surfaces. Mind that
    Ardour listens for OSC on every network interface and asks for no password: whoever is in your network can
    then control it. The menu action in Ardour needs no OSC.
    """
    from daw_bridge.ardour.trigger import enhance_selected as trigger
    from engine.errors import PresetError
    from presets.loader import list_presets
    from stemfix.console import say

    names = [entry.name for entry in list_presets()]
    if preset is not None and preset not in names:
        raise PresetError(f"There is no preset called {preset!r}.", f"There are: {', '.join(names)}.")
    done = trigger(preset, version=version, port=port)
    say(f"Sent to {done.folder.name}: enhance the selected regions. It goes on in Ardour.")
    say(
        f"Warning: Ardour's OSC (port {done.port}) is open to your whole network, without a password. "
        "Switch it off where you don't trust the network.",
        error=True,
    )

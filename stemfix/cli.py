"""The command line's root: global options, and the table of commands."""

from __future__ import annotations

import click

from stemfix import __version__
from stemfix.failure import Settings
from stemfix.lazy import LazyGroup

COMMANDS = {
    "enhance": ("stemfix.commands.enhance", "Separate recordings and enhance every stem."),
    "separate": ("stemfix.commands.separate", "Separate recordings and leave the stems as they are."),
    "compare": (
        "stemfix.commands.compare",
        "Hear versions of a song side by side, on a page in the browser.",
    ),
    "report": ("stemfix.commands.report", "Write the comparison page of one finished job."),
    "plot": ("stemfix.commands.plot", "Draw spectrograms, before and after."),
    "ratings": ("stemfix.commands.ratings", "Add up what blind tests on comparison pages saved."),
    "status": ("stemfix.commands.status", "Watch the engine, the queue and the last results."),
    "jobs": ("stemfix.commands.jobs", "List, show, cancel, retry and clear the jobs of the queue."),
    "align": ("stemfix.commands.align", "Measure how one file lies against another, and fix it."),
    "metrics": ("stemfix.commands.metrics", "Measure a recording, by itself and against a reference."),
    "models": ("stemfix.commands.models", "List, pull, verify and remove separation models."),
    "presets": ("stemfix.commands.presets", "List, show, check and copy presets."),
    "up": ("stemfix.commands.up", "Run the engine and the watched folders together."),
    "watch": ("stemfix.commands.watch", "Turn recordings that are put into a folder into jobs."),
    "engine": ("stemfix.commands.engine", "Run the audio engine here."),
    "service": ("stemfix.commands.service", "Start 'stemfix up' whenever you log on."),
    "config": ("stemfix.commands.config", "Show the configuration file, or write one to begin with."),
    "tune": ("stemfix.commands.tune", "Measure once how this machine separates fastest."),
    "cache": ("stemfix.commands.cache", "Show or clear the cache of separated stems."),
    "daw": ("stemfix.commands.daw", "Put stemfix's actions into a DAW, or take them out."),
    "ardour": ("stemfix.commands.ardour", "Trigger stemfix's actions in an open Ardour."),
    "reaper": ("stemfix.commands.reaper", "Look at the project that is open in REAPER, bring stems in."),
    "import": ("stemfix.commands.import_result", "Put a job's stems into a project file that is not open."),
    "osc": ("stemfix.commands.osc", "Take jobs over OSC from DAWs and control surfaces here."),
    "doctor": ("stemfix.commands.doctor", "Check that this machine has what stemfix needs."),
}


def _show_version(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from engine.version import ENGINE_VERSION

        click.echo(f"stemfix {__version__} (engine {ENGINE_VERSION})")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    name="stemfix",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: stemfix enhance song.wav",
)
@click.option("--debug", is_flag=True, envvar="STEMFIX_DEBUG", help="Show tracebacks of errors.")
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and stop.",
)
@click.pass_obj
def cli(settings: Settings, debug: bool) -> None:
    """Separate a song into stems, enhance each one, and hand the stems back aligned to the sample."""
    settings.debug = debug

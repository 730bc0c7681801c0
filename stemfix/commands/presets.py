"""`stemfix presets`: list, show, check and copy presets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click


@click.group("presets")
def command() -> None:
    """List, show, check and copy presets."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_all(as_json: bool) -> None:
    """List the presets that come with stemfix and your own."""
    from presets.loader import list_presets, user_presets_dir
    from stemfix.console import say, say_json, say_table, table
    from stemfix.text import plain

    with _as_preset_error():
        entries = list_presets()
    if as_json:
        say_json(
            [
                {
                    "name": entry.name,
                    "description": entry.description,
                    "built_in": entry.path is None,
                    "path": None if entry.path is None else str(entry.path),
                }
                for entry in entries
            ]
        )
        return
    rows = table("preset", "from", "description")
    for entry in entries:
        rows.add_row(plain(entry.name), "stemfix" if entry.path is None else "you", plain(entry.description))
    say_table(rows)
    say(f"\nSee one with: stemfix presets show NAME. Your own go to: {user_presets_dir()}")


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the settings, defaults included, as JSON.")
def show(name: str, as_json: bool) -> None:
    """Print a preset's file, comments and all; NAME may be a path."""
    from stemfix.console import say, say_json

    if as_json:
        from engine.processors.presets import load

        preset = load(name)
        say_json(
            {
                "name": preset.name,
                "description": preset.description,
                "digest": preset.digest,
                **preset.settings(),
            }
        )
        return
    from presets.loader import preset_text

    with _as_preset_error():
        say(preset_text(name).rstrip())


@command.command("validate")
@click.argument("file")
def validate(file: str) -> None:
    """Check every key and value of a preset; FILE may be a name."""
    from engine.processors.presets import load
    from stemfix.console import say

    preset = load(file)
    chains = (preset.repair, *preset.chains.values(), preset.mix.chain)
    effects = sum(len(chain) for chain in chains)
    say(f"{file} is a valid preset: {effects} effects, quality {preset.quality}.")


@command.command("new")
@click.argument("name")
@click.option(
    "--from", "based_on", default="balanced", show_default=True, help="The preset to copy: a name or a path."
)
def new(name: str, based_on: str) -> None:
    """Copy a preset, comments and all, to your own as NAME; nothing is overwritten."""
    from engine.processors.presets import load
    from presets.new import new_preset
    from stemfix.console import say

    # A preset with a mistake in it is no start.
    load(based_on)
    with _as_preset_error():
        path = new_preset(name, based_on)
    say(f"{path}\n\nChange it, then: stemfix presets validate {path.stem}")


@contextmanager
def _as_preset_error() -> Iterator[None]:
    from engine.errors import PresetError
    from presets.problem import PresetProblem

    try:
        yield
    except PresetProblem as problem:
        raise PresetError(problem.what, problem.remedy) from problem

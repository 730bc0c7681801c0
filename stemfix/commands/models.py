"""`stemfix models`: list, pull, verify and remove separation models, and read their licences."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("models")
def command() -> None:
    """List, pull, verify and remove separation models."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the models that stemfix knows, and which are installed."""
    from engine.separation import weights
    from engine.separation.registry import MODELS
    from stemfix.console import say, say_json, say_table, table
    from stemfix.text import about_bytes_text, bytes_text

    found = {name: weights.installed(name) for name in MODELS}
    if as_json:
        say_json(
            [
                {
                    "name": card.name,
                    "description": card.description,
                    "stems": list(card.sources),
                    "licence": card.licence_summary,
                    "needs_diffq": card.needs_diffq,
                    "download_bytes": card.download_bytes,
                    "installed": there is not None,
                    "bytes": None if there is None else there.size_bytes,
                    "digest": None if there is None else there.digest,
                    "folder": None if there is None else str(there.folder),
                }
                for card, there in ((MODELS[name], found[name]) for name in MODELS)
            ]
        )
        return
    rows = table("model", "installed", "size", "stems", "description", right=("stems",))
    for name, card in MODELS.items():
        there = found[name]
        size = bytes_text(there.size_bytes) if there else about_bytes_text(card.download_bytes)
        rows.add_row(name, "yes" if there else "-", size, str(len(card.sources)), card.description)
    say_table(rows)
    say("\nGet one with: stemfix models pull NAME. Their licences: stemfix models licence NAME.")


@command.command("pull")
@click.argument("name")
@click.option(
    "--from",
    "from_dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A local folder with the weights.",
)
@click.option("--force", is_flag=True, help="Fetch again even if the model is whole.")
def pull(name: str, from_dir: Path | None, force: bool) -> None:
    """Fetch a model's weights once; off-line from then on."""
    from stemfix.console import say
    from stemfix.pulling import pull_weights
    from stemfix.text import bytes_text

    found = pull_weights(name, from_dir=from_dir, force=force)
    say(f"{name} is installed ({bytes_text(found.size_bytes)}): {found.folder}")


@command.command("verify")
@click.argument("name", required=False)
def verify(name: str | None) -> int:
    """Check every byte of a model, or of all that are installed."""
    from engine.separation import weights
    from engine.separation.registry import MODELS
    from stemfix.console import say

    names = (
        [name] if name is not None else [model for model in MODELS if weights.installed(model) is not None]
    )
    if not names:
        say("No model is installed. Get one with: stemfix models pull htdemucs")
    status = 0
    for model in names:
        problems = weights.verify(model)
        for problem in problems:
            say(f"stemfix: {problem}. Fetch it again: stemfix models pull {model} --force", error=True)
            status = 2
        if not problems:
            say(f"{model} is whole.")
    return status


@command.command("remove")
@click.argument("name")
def remove(name: str) -> int:
    """Delete a model's weights."""
    from engine.separation import weights
    from stemfix.console import say

    if weights.remove(name):
        say(f"{name} was removed.")
        return 0
    say(f"stemfix: {name} is not installed, so there was nothing to remove.", error=True)
    return 2


@command.command("licence")
@click.argument("name")
def licence(name: str) -> None:
    """Show a model's licence."""
    from engine.separation.registry import card
    from stemfix.console import say

    say(card(name).licence)

"""ensure_weights: a job starts with the model that was chosen, or with another that the user agreed to."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

import engine.models
from engine.errors import ModelError
from engine.quality import QUALITIES
from engine.separation import weights
from engine.separation.registry import MODELS, card
from stemfix.console import interactive, say
from stemfix.options import JobOptions
from stemfix.pulling import pull_weights
from stemfix.settings import JobSettings, choose_settings
from stemfix.text import about_bytes_text, count_text

_MODEL_VARIABLE = "DEMUCS_MODEL"


@dataclass(frozen=True)
class Alternative:
    """What could be used with the weights that are installed: a quality if one fits, else just a model."""

    quality: str | None
    model: str

    def __str__(self) -> str:
        return (
            f"the model '{self.model}'"
            if self.quality is None
            else f"quality '{self.quality}' with {self.model}"
        )

    def options(self) -> list[str]:
        """The command line's words for it."""
        if self.quality is None:
            return ["--model", self.model]
        by_model = ["--model", self.model] if os.environ.get(_MODEL_VARIABLE) else []
        return ["--quality", self.quality, *by_model]


def ensure_weights(chosen: JobSettings, options: JobOptions, arguments: Sequence[str]) -> JobSettings:
    """`chosen` if its weights are there or could be pulled, else other settings that the user said yes to.

    Nothing is pulled unless the user was asked, or gave --yes. Raises ModelError with the commands to run.
    """
    if chosen.model == engine.models.WHOLE:
        return chosen  # nothing is separated, so no weights are needed
    try:
        engine.models.open_model(chosen.model, chosen.separation, options.device)
        return chosen
    except ModelError:
        if weights.installed(chosen.model) is not None:
            raise
    missing = ModelError(
        f"The weights of '{chosen.model}' are not installed.",
        f"Pull them once: stemfix models pull {chosen.model}",
    )
    if options.yes or (interactive() and _may_pull(chosen.model)):
        try:
            pull_weights(chosen.model, quiet=options.quiet)
            return chosen
        except ModelError as error:
            missing = error
    return _fall_back(chosen, options, arguments, missing)


def nearest_alternative(chosen: JobSettings) -> Alternative | None:
    """The installed quality that is nearest to the chosen one, or else any installed model."""
    there = [name for name in MODELS if weights.installed(name) is not None]
    order = list(QUALITIES)
    wanted = order.index(chosen.quality)
    fitting = [name for name in order if QUALITIES[name].model in there]
    if fitting:
        nearest = min(fitting, key=lambda name: abs(order.index(name) - wanted))
        return Alternative(nearest, QUALITIES[nearest].model)
    return Alternative(None, there[0]) if there else None


def command_with(arguments: Sequence[str], words: Sequence[str]) -> str:
    """The command line again, with these words in place of its --quality and --model, quoted for a shell."""
    kept: list[str] = []
    rest = list(arguments)
    tail: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            tail = [word, *rest]
            break
        if word in ("--quality", "--model"):
            del rest[:1]
        elif not word.startswith(("--quality=", "--model=")):
            kept.append(word)
    command = ["stemfix", *kept, *words, *tail]
    return subprocess.list2cmdline(command) if os.name == "nt" else shlex.join(command)


def _may_pull(name: str) -> bool:
    model = card(name)
    size = f"{count_text(len(model.members), 'file')}, {about_bytes_text(model.download_bytes)}"
    say(f"The weights of '{name}' are not installed ({size}; licence: {model.licence_summary}).", error=True)
    return click.confirm("Pull them now?", default=False, err=True)


def _fall_back(
    chosen: JobSettings, options: JobOptions, arguments: Sequence[str], missing: ModelError
) -> JobSettings:
    other = nearest_alternative(chosen)
    if other is None:
        raise missing
    if interactive():
        say(f"{missing}", error=True)
        if click.confirm(f"Use {other} instead?", default=False, err=True):
            environment = {name: value for name, value in os.environ.items() if name != _MODEL_VARIABLE}
            model = None if other.quality else other.model
            return choose_settings(
                replace(options, quality=other.quality or options.quality, model=model),
                chosen.quality,
                environment,
            )
    raise ModelError(f"{missing}", f"Or use {other}: {command_with(arguments, other.options())}")

"""choose_settings: model, separation options and format, each from the first place that names it.

The order is: option, environment variable, quality. The quality is the one asked for, or else the preset's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from engine.audio.output_format import OutputFormat
from engine.errors import OptionError
from engine.models import WHOLE
from engine.quality import quality
from engine.separation.separator import SeparationOptions
from stemfix.options import JobOptions

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class JobSettings:
    """What a job is done with."""

    quality: str
    model: str
    separation: SeparationOptions
    output_format: OutputFormat
    #: One sentence for each variable of the environment that decided something.
    notes: tuple[str, ...] = ()


def choose_settings(options: JobOptions, preset_quality: str, environment: Mapping[str, str]) -> JobSettings:
    """Settle what the options leave open. Raises OptionError for a variable that can't be understood."""
    chosen = quality(options.quality or preset_quality)
    notes: list[str] = []

    def from_environment(name: str, read: Callable[[str], _Value], otherwise: _Value) -> _Value:
        text = environment.get(name, "").strip()
        if not text:
            return otherwise
        try:
            value = read(text)
        except ValueError as error:
            raise OptionError(
                f"The environment variable {name} is '{text}': {error}.", "Correct or unset it."
            ) from None
        if value != otherwise:
            notes.append(f"The environment variable {name} sets {text}.")
        return value

    def settle(given: _Value | None, name: str, read: Callable[[str], _Value], otherwise: _Value) -> _Value:
        return given if given is not None else from_environment(name, read, otherwise)

    # The environment says which model separates, not that a whole song is separated.
    whole = chosen.model == WHOLE
    model = options.model or (WHOLE if whole else from_environment("DEMUCS_MODEL", str, chosen.model))
    separation = SeparationOptions(
        overlap=settle(options.overlap, "DEMUCS_OVERLAP", _overlap, chosen.options.overlap),
        shifts=settle(options.shifts, "DEMUCS_SHIFTS", _shifts, chosen.options.shifts),
        segment_s=options.segment if options.segment is not None else chosen.options.segment_s,
        precision=chosen.options.precision,
    )
    output_format = settle(options.output_format, "USE_FLOAT32", _float32, chosen.output_format)
    return JobSettings(chosen.name, model, separation, output_format, tuple(notes))


def _overlap(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise ValueError("it must be a share from 0 up to, but not, 1")
    return value


def _shifts(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 64):
        raise ValueError("it must be a whole number from 0 to 64")
    return int(text)


def _float32(text: str) -> OutputFormat:
    if text.lower() in ("1", "true", "yes", "on"):
        return OutputFormat.FLOAT32
    if text.lower() in ("0", "false", "no", "off"):
        return OutputFormat.PCM16
    raise ValueError("it must be true or false")

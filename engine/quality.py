"""Qualities: named trade-offs between the separation's fidelity and its time, down to no separation."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from engine.audio.output_format import OutputFormat
from engine.errors import OptionError
from engine.models import WHOLE
from engine.separation.separator import Precision, SeparationOptions


class Quality(BaseModel):
    """What a quality stands for; each part may be overridden by its own option."""

    model_config = ConfigDict(frozen=True)

    name: str
    description: str
    model: str
    options: SeparationOptions
    output_format: OutputFormat


def _quality(
    name: str,
    description: str,
    model: str,
    overlap: float,
    shifts: int,
    output_format: OutputFormat,
    precision: Precision = "full",
) -> tuple[str, Quality]:
    options = SeparationOptions(overlap=overlap, shifts=shifts, precision=precision)
    return name, Quality(
        name=name, description=description, model=model, options=options, output_format=output_format
    )


#: From the best and slowest to the fastest. `standard` is what a preset asks for unless it says otherwise.
QUALITIES: dict[str, Quality] = dict(
    [
        _quality(
            "audiophile", "fine-tuned bag of four, many looks", "htdemucs_ft", 0.75, 4, OutputFormat.FLOAT32
        ),
        _quality("production", "fine-tuned bag of four", "htdemucs_ft", 0.25, 2, OutputFormat.FLOAT32),
        _quality("standard", "one model, upstream's settings", "htdemucs", 0.25, 1, OutputFormat.FLOAT32),
        _quality("development", "quick, small files", "htdemucs", 0.15, 1, OutputFormat.PCM16, "reduced"),
        _quality(
            "draft", "the fastest that the machine has", "htdemucs", 0.10, 0, OutputFormat.FLOAT32, "reduced"
        ),
        # Its options hold where a model is asked for all the same.
        _quality("whole", "no separation: the song itself", WHOLE, 0.25, 1, OutputFormat.FLOAT32),
    ]
)


def quality(name: str) -> Quality:
    """The quality called `name`. Raises OptionError that lists the names."""
    try:
        return QUALITIES[name]
    except KeyError:
        raise OptionError(
            f"There is no quality '{name}'.", f"Choose one of {', '.join(QUALITIES)}."
        ) from None

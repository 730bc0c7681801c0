"""Presets for the engine: loads one with the registered effects, and speaks of problems as `PresetError`."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from engine.errors import PresetError
from engine.processors.processor import Processor
from engine.processors.registry import effects
from engine.quality import QUALITIES
from presets.loader import load_preset
from presets.preset import Preset
from presets.problem import PresetProblem


def load(name_or_path: str) -> Preset:
    """The preset called so or at that path. Raises PresetError, which names the file and the line."""
    try:
        return load_preset(name_or_path, effects(), QUALITIES)
    except PresetProblem as problem:
        raise PresetError(problem.what, problem.remedy) from problem


def processors(chain: Sequence[BaseModel]) -> tuple[Processor, ...]:
    """A preset's chain as what it is in the engine: `load` checked every step against a registered effect."""
    return tuple(step for step in chain if isinstance(step, Processor))

"""Models by name: what a job needs to know of one before it is loaded, and how to load it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.errors import ModelError
from engine.separation.separator import SeparationOptions, Separator


@dataclass(frozen=True)
class ModelHandle:
    """A model whose weights are at hand but perhaps not in memory: a cached separation never loads it."""

    name: str
    sources: tuple[str, ...]
    digest: str
    #: Load it; the callback receives one sentence per fallback that was taken.
    load: Callable[[Callable[[str], None]], Separator]

    @classmethod
    def of(cls, separator: Separator) -> ModelHandle:
        """A handle on a model that is loaded already."""
        return cls(separator.name, separator.sources, separator.digest, lambda note: separator)


class ModelProvider(Protocol):
    """Finds models by name. A warm engine brings its own, which keeps them loaded."""

    def __call__(self, name: str, options: SeparationOptions, device: str) -> ModelHandle:
        """The model called `name`. Raises ModelError if its weights are not installed."""
        ...


def open_model(name: str, options: SeparationOptions, device: str) -> ModelHandle:
    """The installed demucs model called `name`; never touches the network."""
    import engine.separation.weights as weights

    installed = weights.installed(name)
    if installed is None:
        raise ModelError(f"The weights of '{name}' are not installed.", f"Run: stemfix models pull {name}")

    def load(note: Callable[[str], None]) -> Separator:
        from engine.separation.demucs import DemucsSeparator, pick_device

        members, bag_weights = weights.load_models(installed)
        return DemucsSeparator(
            name, members, bag_weights, installed.digest, options, pick_device(device), note=note
        )

    return ModelHandle(name, installed.card.sources, installed.digest, load)

"""Models by name: what a job needs to know of one before it is loaded, and how to load it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from engine.errors import ModelError
from engine.job import JobSpec
from engine.separation.separator import SeparationOptions, Separator
from presets.preset import SONG

#: The model that separates nothing: its one stem, `song`, is the recording itself.
WHOLE = "whole"


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


def whole_song() -> ModelHandle:
    """The handle on the model `whole`, which is never loaded: what it would give is there already."""

    def load(note: Callable[[str], None]) -> Separator:
        raise ModelError(f"The model '{WHOLE}' separates nothing.", "Choose another model.")

    return ModelHandle(WHOLE, (SONG,), hashlib.sha256(WHOLE.encode()).hexdigest(), load)


def model_for(spec: JobSpec, provider: ModelProvider | None) -> ModelHandle:
    """The model that a job asks for, from `provider` or the installed ones. Raises ModelError."""
    if spec.model == WHOLE:
        return whole_song()
    return (provider or open_model)(spec.model, spec.options, spec.device)


def open_model(name: str, options: SeparationOptions, device: str) -> ModelHandle:
    """The installed demucs model called `name`; never touches the network."""
    import engine.separation.weights as weights

    installed = weights.installed(name)
    if installed is None:
        raise ModelError(f"The weights of '{name}' are not installed.", f"Run: stemfix models pull {name}")

    def load(note: Callable[[str], None]) -> Separator:
        from engine.separation.demucs import DemucsSeparator
        from engine.separation.device import pick_device

        members, bag_weights = weights.load_models(installed)
        return DemucsSeparator(
            name, members, bag_weights, installed.digest, options, pick_device(device), note=note
        )

    return ModelHandle(name, installed.card.sources, installed.digest, load)


class WarmModels:
    """A provider that keeps the model it loaded last: the next job with the same one starts at once.

    It finds models through `provider`, the installed ones by default.
    Several threads may use it; they load one at a time.
    """

    def __init__(self, provider: ModelProvider | None = None) -> None:
        self._provider = provider
        self._lock = threading.Lock()
        self._key: tuple[str, SeparationOptions, str] | None = None
        self._separator: Separator | None = None
        self._note: Callable[[str], None] = lambda message: None

    def __call__(self, name: str, options: SeparationOptions, device: str) -> ModelHandle:
        """See `ModelProvider`."""
        handle = (self._provider or open_model)(name, options, device)
        key = (handle.digest, options, device)
        return replace(handle, load=lambda note: self._load(key, handle, note))

    @property
    def loaded(self) -> str | None:
        """The name of the model in memory."""
        separator = self._separator
        return separator.name if separator else None

    def release(self) -> None:
        """Give the model's memory back; the next job loads it again."""
        with self._lock:
            self._key, self._separator = None, None

    def _load(
        self, key: tuple[str, SeparationOptions, str], handle: ModelHandle, note: Callable[[str], None]
    ) -> Separator:
        with self._lock:
            self._note = note  # what a warm model says is for the job that uses it now
            if self._separator is None or key != self._key:
                self._key, self._separator = None, None  # never two models in memory
                self._separator = handle.load(lambda message: self._note(message))
                self._key = key
            return self._separator

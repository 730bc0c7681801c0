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
    #: A handle on as much of a bag as gives these stems alone; None where that is no less work.
    part: Callable[[tuple[str, ...]], ModelHandle | None] = lambda stems: None

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

    from engine.separation.backend import load_separator
    from engine.separation.bag import members_for, part_digest

    card = installed.card

    def part(stems: tuple[str, ...]) -> ModelHandle | None:
        if len(members_for(card, stems)) == len(card.members):
            return None
        digest = part_digest(installed.digest, stems)
        return ModelHandle(
            name, stems, digest, lambda note: load_separator(installed, options, device, note, stems)
        )

    return ModelHandle(
        name,
        card.sources,
        installed.digest,
        lambda note: load_separator(installed, options, device, note),
        part,
    )


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
        return self._warm((self._provider or open_model)(name, options, device), options, device)

    @property
    def loaded(self) -> str | None:
        """The name of the model in memory."""
        separator = self._separator
        return separator.name if separator else None

    def release(self) -> None:
        """Give the model's memory back; the next job loads it again."""
        with self._lock:
            self._key, self._separator = None, None

    def _warm(self, handle: ModelHandle, options: SeparationOptions, device: str) -> ModelHandle:
        key = (handle.digest, options, device)

        def part(stems: tuple[str, ...]) -> ModelHandle | None:
            found = handle.part(stems)
            return None if found is None else self._warm(found, options, device)

        return replace(handle, load=lambda note: self._load(key, handle, note), part=part)

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

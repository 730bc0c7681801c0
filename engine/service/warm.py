"""IdleModels: the engine's warm model, given back when no job wanted it for a while."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from engine.models import ModelHandle, ModelProvider, WarmModels
from engine.separation.separator import SeparationOptions, Separator

_log = logging.getLogger(__name__)


class IdleModels:
    """A provider that keeps the last model in memory and knows how long nothing worked with it."""

    def __init__(self, provider: ModelProvider | None, idle_s: float) -> None:
        self._warm = WarmModels(provider)
        self._idle_s = idle_s
        self._used_at = time.monotonic()
        self._device: str | None = None

    def __call__(self, name: str, options: SeparationOptions, device: str) -> ModelHandle:
        """See `ModelProvider`."""
        return self._watched(self._warm(name, options, device))

    @property
    def loaded(self) -> str | None:
        """The name of the model in memory."""
        return self._warm.loaded

    @property
    def device(self) -> str | None:
        """The device that the model in memory works on."""
        return self._device if self.loaded else None

    def look(self, busy: bool) -> None:
        """Told now and then whether a job is running; gives the memory back after `idle_s` without one."""
        now = time.monotonic()
        if busy:
            self._used_at = now
        elif self._idle_s > 0 and self.loaded and now - self._used_at > self._idle_s:
            _log.info(
                "Gave back the memory of %s after %.0f s without a job", self.loaded, now - self._used_at
            )
            self._warm.release()
            return_memory()

    def _watched(self, handle: ModelHandle) -> ModelHandle:
        def part(stems: tuple[str, ...]) -> ModelHandle | None:
            found = handle.part(stems)
            return None if found is None else self._watched(found)

        return replace(handle, load=lambda note: self._load(handle, note), part=part)

    def _load(self, handle: ModelHandle, note: Callable[[str], None]) -> Separator:
        self._used_at = time.monotonic()
        separator = handle.load(note)
        self._device = getattr(separator, "device", None)
        return separator


def return_memory() -> None:
    """Hand memory that is free to Python and to torch back to the system."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)

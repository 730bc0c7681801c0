"""Processor: what every effect declares and how it runs over a recording of any length in bounded memory.

An effect is a pydantic model whose fields are its settings. It works in two steps: `analyse` passes over the
whole recording once and returns what it found (levels, a noise profile, a gain curve at a low rate), `render`
then works on one block at a time with `context_s` seconds of audio on both sides. What analyse finds makes
thresholds relative to the material: a song 20 dB quieter comes out 20 dB quieter and otherwise the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from engine.audio.buffer import BLOCK_FRAMES, GRID_FRAMES, Audio, AudioBuffer
from engine.progress import Progress


class Processor(BaseModel, ABC):
    """One effect with its settings.

    Subclasses set the class variables and implement `analyse` and `render`. `amount` mixes between the
    untouched signal (0, bit-exact) and the full effect (1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Name in preset files.
    effect: ClassVar[str]
    #: True if the effect is a linear time-invariant filter.
    linear: ClassVar[bool]
    #: Delay in frames that the effect leaves in; every effect compensates its own to 0.
    latency_frames: ClassVar[int] = 0
    #: Seconds of audio that `render` needs on either side of a block.
    context_s: ClassVar[float] = 0.0

    amount: float = Field(
        1.0, ge=0.0, le=1.0, description="0 leaves the stem untouched, 1 is the full effect"
    )

    @abstractmethod
    def analyse(self, source: AudioBuffer) -> Any | None:
        """Pass over the recording and return what `render` needs; None means: nothing to do here."""

    @abstractmethod
    def render(self, block: Audio, start: int, sample_rate: int, found: Any) -> Audio:
        """The effect on `block`, shape (channels, n), whose first frame is frame `start` of the recording.

        `block` includes the context on both sides (zeros beyond the ends of the recording) and the result
        must have its shape; the caller cuts the context off. Blocks come in order, first to last.
        """

    def describe(self, found: Any) -> dict[str, Any]:
        """What was found and done, for the report: plain JSON values."""
        return {}

    def process(
        self, source: AudioBuffer, into: AudioBuffer, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Run the effect from `source` into `into` (same shape) and return its report.

        Where there is nothing to do it copies. `examine` and `carry_out` are its two halves.
        """
        found = self.examine(source)
        if found is not None:
            return self.carry_out(source, into, found, progress)
        for start, block in source.blocks():
            into.write(start, block)
        return self.idle_report()

    def examine(self, source: AudioBuffer) -> Any | None:
        """What `analyse` finds; None where the effect is off or there is nothing to do."""
        return None if self.amount == 0.0 or source.frames == 0 else self.analyse(source)

    def idle_report(self) -> dict[str, Any]:
        """The report where there was nothing to do."""
        return {"effect": self.effect, "applied": False}

    def carry_out(
        self, source: AudioBuffer, into: AudioBuffer, found: Any, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Render `source` into `into` (same shape) with what `examine` found, and return the report."""
        context = -(-int(self.context_s * source.sample_rate) // GRID_FRAMES) * GRID_FRAMES
        for start in range(0, source.frames, BLOCK_FRAMES):
            if progress is not None:
                progress.check()
            stop = min(start + BLOCK_FRAMES, source.frames)
            block = source.read(start - context, stop + context)
            dry = block[:, context : context + stop - start]
            wet = self.render(block, start - context, source.sample_rate, found)
            wet = wet[:, context : context + stop - start]
            mixed = wet if self.amount == 1.0 else dry + np.float32(self.amount) * (wet - dry)
            into.write(start, mixed)
        return {"effect": self.effect, "applied": True, **self.describe(found)}

    def apply(self, audio: Audio, sample_rate: int) -> Audio:
        """The effect on an array in memory; for tests and short excerpts."""
        source = AudioBuffer.of(audio, sample_rate)
        into = source.like()
        self.process(source, into)
        return into.to_array()

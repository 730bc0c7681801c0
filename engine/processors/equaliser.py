"""Equaliser: bells, shelves and passes, with no phase shift or with the least one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import GRID_FRAMES, Audio, AudioBuffer
from engine.processors.filters import (
    HALF_LENGTH_S,
    Band,
    active_bands,
    biquads,
    linear_phase,
    magnitude,
    zero_phase,
)
from engine.processors.processor import Processor


@dataclass
class _Filter:
    """A linear-phase FIR, or second-order sections and their state at frame `next_start`."""

    bands: tuple[Band, ...]
    taps: npt.NDArray[np.float32] | None = None
    sections: npt.NDArray[np.float64] | None = None
    state: npt.NDArray[np.float64] | None = None
    next_start: int | None = None


class Equaliser(Processor):
    """Bands in series.

    `phase` is "zero" (a linear-phase filter without its delay: nothing moves against the other stems) or
    "minimum" (no ringing before an onset: for steep or low cuts on drums).
    """

    effect: ClassVar[str] = "equaliser"
    linear: ClassVar[bool] = True
    context_s: ClassVar[float] = HALF_LENGTH_S + 0.001

    bands: tuple[Band, ...] = Field((), description="kind, frequency_hz, gain_db, q or slope of each band")
    phase: Literal["zero", "minimum"] = "zero"

    def analyse(self, source: AudioBuffer) -> _Filter | None:
        """The filter for this sample rate; None if no band does anything at it."""
        bands = active_bands(self.bands, source.sample_rate)
        if not bands:
            return None
        if self.phase == "zero":
            return _Filter(bands, taps=linear_phase(magnitude(bands, source.sample_rate), source.sample_rate))
        sections = biquads(bands, source.sample_rate)
        return _Filter(bands, sections=sections, state=np.zeros((len(sections), source.channels, 2)))

    def render(self, block: Audio, start: int, sample_rate: int, found: _Filter) -> Audio:
        """Filter the block; the minimum-phase filter keeps its state from block to block."""
        if found.taps is not None:
            return zero_phase(block, found.taps)
        from scipy.signal import sosfilt

        assert found.state is not None
        if found.next_start != start:
            found.state[:] = 0.0
        # The state belongs to the first frame of the next block, whose context overlaps the end of this one.
        context = -(-int(self.context_s * sample_rate) // GRID_FRAMES) * GRID_FRAMES
        ahead = block.shape[1] - 2 * context
        first, found.state = sosfilt(found.sections, block[:, :ahead], axis=-1, zi=found.state)
        rest, _ = sosfilt(found.sections, block[:, ahead:], axis=-1, zi=found.state)
        found.next_start = start + ahead
        return np.concatenate((first, rest), axis=1).astype(np.float32)

    def describe(self, found: _Filter) -> dict[str, Any]:
        """The bands in use."""
        return {"phase": self.phase, "bands": [band.model_dump() for band in found.bands]}

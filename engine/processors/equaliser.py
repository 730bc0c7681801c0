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

#: "mixed" filters bands below this with minimum phase, the others with none.
_LOW_HZ = 100.0
#: A filter's ringing in silence ends here: -300 dB, above the numbers that processors handle slowly.
_NOTHING = np.float32(1e-15)


@dataclass
class _Filter:
    """A linear-phase FIR, and second-order sections with their state at frame `next_start`."""

    bands: tuple[Band, ...]
    taps: npt.NDArray[np.float32] | None
    sections: npt.NDArray[np.float64] | None
    state: npt.NDArray[np.float64] | None = None
    next_start: int | None = None


class Equaliser(Processor):
    """Bands in series.

    `phase` is "zero" (a linear-phase filter without its delay: nothing moves against the other stems),
    "minimum" (no ringing before an onset, but phases turn around the band), or "mixed": minimum phase for
    bands below 100 Hz, where the ringing before a kick would be long, and zero phase for the rest.
    """

    effect: ClassVar[str] = "equaliser"
    linear: ClassVar[bool] = True
    context_s: ClassVar[float] = HALF_LENGTH_S + 0.001

    bands: tuple[Band, ...] = Field((), description="kind, frequency_hz, gain_db, q or slope of each band")
    phase: Literal["zero", "minimum", "mixed"] = "zero"

    def analyse(self, source: AudioBuffer) -> _Filter | None:
        """The filter for this sample rate; None if no band does anything at it."""
        rate = source.sample_rate
        bands = active_bands(self.bands, rate)
        turning = tuple(band for band in bands if self._turns(band))
        still = tuple(band for band in bands if not self._turns(band))
        if not bands:
            return None
        sections = biquads(turning, rate) if turning else None
        return _Filter(
            bands,
            taps=linear_phase(magnitude(still, rate), rate) if still else None,
            sections=sections,
            state=None if sections is None else np.zeros((len(sections), source.channels, 2)),
        )

    def _turns(self, band: Band) -> bool:
        """Whether this band is filtered with minimum phase."""
        return self.phase == "minimum" or (self.phase == "mixed" and band.frequency_hz < _LOW_HZ)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Filter) -> Audio:
        """Filter the block; the minimum-phase filter keeps its state from block to block."""
        # It goes first: its block needs no context, and the other one's ends lack some.
        block = self._minimum_phase(block, start, sample_rate, found)
        return block if found.taps is None else zero_phase(block, found.taps)

    def _minimum_phase(self, block: Audio, start: int, sample_rate: int, found: _Filter) -> Audio:
        if found.sections is None or found.state is None:
            return block
        from scipy.signal import sosfilt

        if found.next_start != start:
            found.state[:] = 0.0
        # The state belongs to the first frame of the next block, whose context overlaps the end of this one.
        context = -(-int(self.context_s * sample_rate) // GRID_FRAMES) * GRID_FRAMES
        ahead = block.shape[1] - 2 * context
        first, found.state = sosfilt(found.sections, block[:, :ahead], axis=-1, zi=found.state)
        rest, _ = sosfilt(found.sections, block[:, ahead:], axis=-1, zi=found.state)
        found.next_start = start + ahead
        filtered: Audio = np.concatenate((first, rest), axis=1).astype(np.float32)
        filtered[np.abs(filtered) < _NOTHING] = 0
        return filtered

    def describe(self, found: _Filter) -> dict[str, Any]:
        """The bands in use."""
        return {"phase": self.phase, "bands": [band.model_dump() for band in found.bands]}

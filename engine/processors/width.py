"""Width: widens or narrows a stereo stem above a crossover without touching its mono sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import BLOCK_FRAMES, GRID_FRAMES, Audio, AudioBuffer
from engine.processors.filters import HALF_LENGTH_S, Band, linear_phase, magnitude, zero_phase
from engine.processors.processor import Processor

#: A side signal this far below the middle is the rounding of a mono recording.
_MONO_DB = -100.0
#: Gains smaller than this change nothing.
_LEAST_DB = 0.05


@dataclass(frozen=True)
class _Found:
    taps: npt.NDArray[np.float32]
    gain_db: float


class Width(Processor):
    """The side channel, (L - R) / 2, gets `gain_db` above `crossover_hz`.

    L and R change by the same amount with opposite signs, so L + R stays what it was. The gain is limited so
    that the correlation of L and R above the crossover does not become negative by it.
    """

    effect: ClassVar[str] = "width"
    linear: ClassVar[bool] = True
    context_s: ClassVar[float] = HALF_LENGTH_S + 0.001

    gain_db: float = Field(2.0, ge=-24.0, le=9.0, description="gain of the side channel above the crossover")
    crossover_hz: float = Field(250.0, ge=60.0, le=8000.0, description="below it the width stays as it is")

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Measure middle and side above the crossover and limit the gain; None for mono."""
        if source.channels != 2 or self.crossover_hz >= 0.45 * source.sample_rate:
            return None
        crossover = Band(kind="high_pass", frequency_hz=self.crossover_hz, slope=12)
        taps = linear_phase(magnitude((crossover,), source.sample_rate), source.sample_rate)
        middle, side = self._powers(source, taps)
        if side <= middle * 10 ** (_MONO_DB / 10):
            return None
        # The correlation's numerator is E[LR] = E[M^2] - E[S^2].
        most = max(10 * np.log10(middle / side), 0.0) if middle > 0 else 0.0
        gain_db = min(self.gain_db, float(most))
        return _Found(taps, gain_db) if abs(gain_db) >= _LEAST_DB else None

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Add the high-passed side with the gain's excess, in opposite phase to L and R."""
        side = (block[:1] - block[1:]) * np.float32(0.5)
        excess = zero_phase(side, found.taps) * np.float32(10 ** (found.gain_db / 20) - 1)
        return np.concatenate((block[:1] + excess, block[1:] - excess))

    def describe(self, found: _Found) -> dict[str, Any]:
        """The gain that was possible."""
        return {"gain_db": round(found.gain_db, 2)}

    def _powers(self, source: AudioBuffer, taps: npt.NDArray[np.float32]) -> tuple[float, float]:
        """Energies of middle and side above the crossover."""
        context = -(-int(self.context_s * source.sample_rate) // GRID_FRAMES) * GRID_FRAMES
        energies = np.zeros(2)
        for start in range(0, source.frames, BLOCK_FRAMES):
            stop = min(start + BLOCK_FRAMES, source.frames)
            left, right = source.read(start - context, stop + context)
            high = zero_phase(np.stack((left + right, left - right)) * np.float32(0.5), taps)
            energies += np.square(high[:, context : context + stop - start], dtype=np.float64).sum(axis=1)
        return float(energies[0]), float(energies[1])

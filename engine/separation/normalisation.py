"""Normalisation: the level that models of the Demucs family want their input at, and the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import InputError

#: Below this ratio of the mono mix to the whole (-80 dB) the channels cancel in the mono mix.
_CANCELLED = 1e-4


@dataclass(frozen=True)
class Normalisation:
    """The models take `(audio - mean) / std` of the mono mix."""

    mean: float
    std: float

    @classmethod
    def of(cls, audio: AudioBuffer) -> Normalisation:
        """Measure a recording in one pass: the mean and the unbiased deviation + 1e-8, as upstream does.

        Moments of the blocks are merged in float64 (Chan, Golub and LeVeque 1983), so that a large mean does
        not swallow a small deviation. Where the channels cancel each other in the mono mix, upstream divides
        by next to nothing; here the level of the channels is taken instead.

        Raises:
            InputError: there are samples that are not finite.
        """
        count, mean, moment, side = 0, 0.0, 0.0, 0.0
        for _, block in audio.blocks():
            if not np.isfinite(block).all():
                raise InputError(
                    "The source holds samples that are not a number.", "Export it again and retry."
                )
            exact = block.astype(np.float64)
            mono = exact.mean(axis=0)
            side += float(np.square(exact - mono).sum())
            step = float(mono.mean()) - mean
            after = count + mono.size
            moment += float(np.square(mono - mono.mean()).sum()) + step**2 * count * mono.size / after
            mean += step * mono.size / after
            count = after
        std = math.sqrt(moment / max(count - 1, 1))
        whole = math.hypot(std, math.sqrt(side / max(audio.channels * count, 1)))
        return cls(mean, (whole if std < _CANCELLED * whole else std) + 1e-8)

    def apply(self, audio: Audio) -> Audio:
        """From the recording's level to the model's."""
        normalised: Audio = (audio - np.float32(self.mean)) / np.float32(self.std)
        return normalised

    def undo(self, stems: Audio, sources: int | None = None) -> Audio:
        """From the model's level to the recording's; `stems` has shape (sources, channels, n).

        `sources` is how many the model has, if these are not all.

        Upstream adds the whole mean back to every stem, so that four stems sum to the mix plus three times
        its mean. Here each gets its part of it. This is the one deliberate difference from upstream; giving
        the mean to the residual instead would make the model's residual look larger than it is.
        """
        restored: Audio = stems * np.float32(self.std) + np.float32(self.mean / (sources or len(stems)))
        return restored

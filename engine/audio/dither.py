"""TPDF dither: from float samples to integers without distortion, at the cost of a little white noise."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio


class Dither:
    """Turns a recording, block by block, into integers of `bits` bits.

    Adds the difference of two uniform random numbers, triangular over ±1 step, which makes mean and power of
    the error independent of the signal (Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither: A
    Theoretical Survey", JAES 40(5), 1992). The numbers depend on the seed and the frame only, not on how the
    recording is cut into blocks.
    """

    def __init__(self, bits: int, seed: int) -> None:
        self._steps = float(1 << (bits - 1))
        self._random = np.random.default_rng(seed)
        #: Samples so far beyond full scale, which integers can't hold.
        self.clipped = 0

    def quantise(self, block: Audio) -> npt.NDArray[np.int32]:
        """Integers of the next block, shape (channels, n), in the low `bits` bits; clipped at full scale."""
        self.clipped += int(np.count_nonzero(np.abs(block) > 1.0))
        uniform = self._random.random((block.shape[1], block.shape[0], 2))
        scaled = block * self._steps + (uniform[:, :, 0] - uniform[:, :, 1]).T
        rounded: npt.NDArray[np.int32] = np.clip(np.rint(scaled), -self._steps, self._steps - 1).astype(
            np.int32
        )
        return rounded

"""stereo_correlation: how alike the two channels are: 1 for mono, 0 for unrelated, -1 for inverted."""

from __future__ import annotations

import math

import numpy as np

from engine.audio.buffer import AudioBuffer


def stereo_correlation(buffer: AudioBuffer) -> float | None:
    """Pearson's correlation of left and right without removal of the mean, as a goniometer's meter shows it.

    None unless the recording has two channels that both hold sound.
    """
    if buffer.channels != 2:
        return None
    product = left_power = right_power = 0.0
    for _, block in buffer.blocks():
        left, right = block.astype(np.float64)
        product += float(np.vdot(left, right))
        left_power += float(np.vdot(left, left))
        right_power += float(np.vdot(right, right))
    if left_power == 0.0 or right_power == 0.0:
        return None
    # Rounding must not lead beyond 1.
    return max(min(product / math.sqrt(left_power * right_power), 1.0), -1.0)

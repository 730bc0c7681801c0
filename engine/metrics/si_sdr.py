"""si_sdr_db: what is right in a recording over what is not, whatever its level.

Le Roux, Wisdom, Erdogan and Hershey, "SDR: half-baked or well done?", ICASSP 2019; the mean is not removed.
"""

from __future__ import annotations

import math

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import require_pair


def si_sdr_db(reference: AudioBuffer, estimate: AudioBuffer) -> float:
    """Scale-invariant signal-to-distortion ratio in dB; higher is better, infinite for a copy at any level.

    All channels count as one long signal, with one gain. Minus infinity where either is silent.

    Raises:
        OptionError: the two differ in rate, channels or length.
    """
    require_pair(reference, estimate)
    product = energy = 0.0
    for start, block in reference.blocks():
        truth = block.astype(np.float64)
        product += float(np.vdot(truth, estimate.read(start, start + block.shape[1])))
        energy += float(np.vdot(truth, truth))
    if energy == 0.0 or product == 0.0:
        return -math.inf
    gain = product / energy
    # A second pass: the difference of large sums would lose everything beyond 130 dB or so.
    error = 0.0
    for start, block in reference.blocks():
        rest = estimate.read(start, start + block.shape[1]) - gain * block.astype(np.float64)
        error += float(np.vdot(rest, rest))
    return 10.0 * math.log10(gain * gain * energy / error) if error > 0.0 else math.inf

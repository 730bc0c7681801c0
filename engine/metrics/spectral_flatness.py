"""spectral_flatness_db: how noise-like a recording is: 0 dB for a flat spectrum, far below for tones.

Gray and Markel 1974; Johnston, "Transform coding of audio signals using perceptual noise criteria", IEEE JSAC
6(2), 1988: the geometric over the arithmetic mean of the power spectrum of a frame, here averaged over frames
in dB. White noise has -2.5 dB, since the power of a bin is exponentially distributed.
"""

from __future__ import annotations

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import fft_length, frame_power, power_floor

#: Bins so far under the mean bin count as silent, frames whose every bin is are left out.
_FLOOR_DB = 100.0
#: Part of the band from 0 to half the sample rate that counts: above, resamplers and codecs cut.
_TOP_SHARE = 0.72


def spectral_flatness_db(buffer: AudioBuffer) -> float | None:
    """Mean over frames and channels, from 0 to 16 kHz at 44.1 kHz (72 % of the band); None for silence."""
    length = fft_length(buffer.sample_rate)
    top = int(_TOP_SHARE * (length // 2))
    floor = np.float32(power_floor(buffer, length, _FLOOR_DB))
    total, count = 0.0, 0
    for power in frame_power(buffer, length, length // 2):
        frames = power.reshape(-1, power.shape[-1])[:, 1:top]
        frames = frames[frames.max(axis=1) > floor] + floor
        logs = np.log10(frames).mean(1, dtype=np.float64) - np.log10(frames.mean(1, dtype=np.float64))
        total += 10.0 * float(logs.sum())
        count += len(frames)
    return total / count if count else None

"""Loudness and levels of a recording: EBU R 128 (ITU-R BS.1770-4), true peak, sample peak, RMS, crest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pyebur128 import MeasurementMode, R128State, get_loudness_global, get_loudness_range, get_true_peak

from engine.audio.buffer import AudioBuffer

#: Frames of silence that push the last samples through the true-peak interpolator.
_FLUSH_FRAMES = 64
#: EBU Tech 3342 measures the range over windows of 3 s.
_RANGE_WINDOW_S = 3.0


@dataclass(frozen=True)
class Loudness:
    """Levels of a recording; None where one is undefined: in silence, or where the recording is too short."""

    #: Integrated loudness in LUFS; needs 400 ms above the gate of -70 LUFS.
    lufs: float | None
    #: Loudness range in LU; needs 3 s.
    loudness_range_lu: float | None
    #: Peak between the samples in dBTP, 4 times oversampled below 96 kHz.
    true_peak_db: float | None
    sample_peak_db: float | None
    #: RMS over all channels in dBFS; a full-scale square wave has 0.
    rms_db: float | None
    #: Sample peak over RMS in dB.
    crest_db: float | None


def measure_loudness(buffer: AudioBuffer) -> Loudness:
    """Measure a whole recording, block by block. A mono recording counts as one channel."""
    modes = MeasurementMode.MODE_I | MeasurementMode.MODE_LRA | MeasurementMode.MODE_TRUE_PEAK
    state = R128State(buffer.channels, buffer.sample_rate, modes)
    peak, power = 0.0, 0.0
    for _, block in buffer.blocks():
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        power += float(np.sum(np.square(block, dtype=np.float64)))
        state.add_frames(np.ascontiguousarray(block.T).reshape(-1), block.shape[1])

    lufs = get_loudness_global(state)
    has_lufs = math.isfinite(lufs)
    has_range = has_lufs and buffer.frames >= _RANGE_WINDOW_S * buffer.sample_rate
    loudness_range = get_loudness_range(state) if has_range else None

    state.add_frames(np.zeros(_FLUSH_FRAMES * buffer.channels, np.float32), _FLUSH_FRAMES)
    true_peak = max(peak, *(get_true_peak(state, channel) for channel in range(buffer.channels)))
    count = buffer.channels * buffer.frames
    rms_db = _decibels(math.sqrt(power / count)) if count else None
    peak_db = _decibels(peak)
    return Loudness(
        lufs=lufs if has_lufs else None,
        loudness_range_lu=loudness_range,
        true_peak_db=_decibels(true_peak),
        sample_peak_db=peak_db,
        rms_db=rms_db,
        crest_db=peak_db - rms_db if peak_db is not None and rms_db is not None else None,
    )


def _decibels(amplitude: float) -> float | None:
    return 20.0 * math.log10(amplitude) if amplitude > 0.0 else None

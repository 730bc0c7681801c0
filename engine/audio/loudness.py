"""Loudness and levels of a recording: EBU R 128 (ITU-R BS.1770-4), true peak, sample peak, RMS, crest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pyebur128 import MeasurementMode, R128State, get_loudness_global, get_loudness_range

from engine.audio.buffer import Audio, AudioBuffer
from engine.audio.true_peak import TruePeak

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


class LoudnessMeter:
    """Fed the blocks of a recording in order, beside whatever else reads them."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        self._state = R128State(channels, sample_rate, MeasurementMode.MODE_I | MeasurementMode.MODE_LRA)
        self._true_peak = TruePeak(channels, sample_rate)
        self._channels, self._sample_rate = channels, sample_rate
        self._frames, self._peak, self._power = 0, 0.0, 0.0

    def add(self, block: Audio) -> None:
        """Go on with `block`, shape (channels, n)."""
        self._frames += block.shape[1]
        if block.size:
            self._peak = max(self._peak, float(block.max()), -float(block.min()))
        self._power += float(np.sum(np.square(block, dtype=np.float64)))
        self._true_peak.add(block)
        self._state.add_frames(np.ascontiguousarray(block.T).reshape(-1), block.shape[1])

    def result(self) -> Loudness:
        """The levels of all that was added; nothing can be added after it."""
        lufs = get_loudness_global(self._state)
        has_lufs = math.isfinite(lufs)
        has_range = has_lufs and self._frames >= _RANGE_WINDOW_S * self._sample_rate
        count = self._channels * self._frames
        rms_db = _decibels(math.sqrt(self._power / count)) if count else None
        peak_db = _decibels(self._peak)
        return Loudness(
            lufs=lufs if has_lufs else None,
            loudness_range_lu=get_loudness_range(self._state) if has_range else None,
            true_peak_db=_decibels(self._true_peak.finish()),
            sample_peak_db=peak_db,
            rms_db=rms_db,
            crest_db=peak_db - rms_db if peak_db is not None and rms_db is not None else None,
        )


def measure_loudness(buffer: AudioBuffer) -> Loudness:
    """Measure a whole recording, block by block. A mono recording counts as one channel."""
    meter = LoudnessMeter(buffer.channels, buffer.sample_rate)
    for _, block in buffer.blocks():
        meter.add(block)
    return meter.result()


def measure_lufs(buffer: AudioBuffer) -> float | None:
    """The integrated loudness alone, for less work."""
    state = R128State(buffer.channels, buffer.sample_rate, MeasurementMode.MODE_I)
    for _, block in buffer.blocks():
        state.add_frames(np.ascontiguousarray(block.T).reshape(-1), block.shape[1])
    lufs = get_loudness_global(state)
    return lufs if math.isfinite(lufs) else None


def _decibels(amplitude: float) -> float | None:
    return 20.0 * math.log10(amplitude) if amplitude > 0.0 else None

"""dynamics: crest factor, peak-to-loudness ratio and loudness range of a recording.

Crest factor: sample peak over RMS. PLR: true peak over integrated loudness (AES TD1008.1.21-9; ITU-R
BS.1770-4 for both). Loudness range: EBU Tech 3342. Measured by libebur128.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio.buffer import AudioBuffer
from engine.audio.loudness import Loudness, measure_loudness


@dataclass(frozen=True)
class Dynamics:
    """None where one is undefined: in silence, or where the recording is too short."""

    loudness: Loudness
    #: True peak in dBTP less integrated loudness in LUFS.
    plr_db: float | None


def dynamics(buffer: AudioBuffer) -> Dynamics:
    """Measure a whole recording, block by block."""
    loudness = measure_loudness(buffer)
    if loudness.true_peak_db is None or loudness.lufs is None:
        return Dynamics(loudness, None)
    return Dynamics(loudness, loudness.true_peak_db - loudness.lufs)

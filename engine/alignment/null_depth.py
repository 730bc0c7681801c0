"""null_depth_db: how far the parts are from summing to the whole.

This is the transport test, run with the chains bypassed. After honest equalisation or compression a null of
-8 to -22 dB is normal and says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from engine.alignment.model import FLOOR_DB
from engine.alignment.verdict import Verdict
from engine.audio.buffer import BLOCK_FRAMES, AudioBuffer
from engine.errors import AlignmentError

#: What this program promises for its own stems in float32 (four float32 stems measured -149 dB).
PROMISED_NULL_DB = -120.0
#: Anything deeper than a float32 or 24-bit transport's own rounding.
PASS_NULL_DB = -110.0
#: 16-bit files with dither measured -71 dB; a real error of level or place is far above.
WARN_NULL_DB = -70.0


class NullDepth(BaseModel):
    """Level of whole - sum(parts), re full scale 1.0; exact zero is -200 dB."""

    model_config = ConfigDict(frozen=True)

    rms_db: float
    peak_db: float
    verdict: Verdict


def null_depth_db(parts: Sequence[AudioBuffer], whole: AudioBuffer) -> NullDepth:
    """Measure the null of `parts` against `whole`, summed in float64, in blocks.

    Raises:
        AlignmentError: a part has another shape or sample rate than `whole`.
    """
    for part in parts:
        if (part.shape, part.sample_rate) != (whole.shape, whole.sample_rate):
            raise AlignmentError(
                f"A part of shape {part.shape} at {part.sample_rate} Hz can't be part of a whole of shape "
                f"{whole.shape} at {whole.sample_rate} Hz.",
                "Parts must have the whole's length, channels and sample rate.",
            )
    energy, peak = 0.0, 0.0
    for start, block in whole.blocks(BLOCK_FRAMES):
        rest = block.astype(np.float64)
        for part in parts:
            rest -= part.read(start, start + block.shape[1])
        energy += float(np.vdot(rest, rest))
        peak = max(peak, float(np.abs(rest).max(initial=0.0)))
    rms = float(np.sqrt(energy / max(whole.channels * whole.frames, 1)))
    rms_db, peak_db = _dbfs(rms), _dbfs(peak)
    return NullDepth(rms_db=rms_db, peak_db=peak_db, verdict=_verdict(rms_db))


def _verdict(rms_db: float) -> Verdict:
    if rms_db <= PASS_NULL_DB:
        return Verdict.PASS
    return Verdict.WARN if rms_db <= WARN_NULL_DB else Verdict.FAIL


def _dbfs(amplitude: float) -> float:
    if not np.isfinite(amplitude):
        return -FLOOR_DB
    return max(20.0 * float(np.log10(amplitude)), FLOOR_DB) if amplitude > 0.0 else FLOOR_DB

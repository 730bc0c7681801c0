"""correct: take a constant delay and an inverted polarity back out of a recording.

Only a delay that is the same for all frequencies and all the time is a mistake of transport that may be
undone; everything else belongs to an effect, and shifting against it would do harm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.alignment.model import Alignment
from engine.alignment.verdict import DRIFT_SIGNIFICANCE, FAIL_DRIFT_PPM
from engine.audio.buffer import BLOCK_FRAMES, AudioBuffer
from engine.errors import AlignmentError

#: Delays below this are within the estimate's own error on noisy material and worth -38 dB in a mix.
LEAST_DELAY_SAMPLES = 0.05
#: The phases must agree on one delay.
LEAST_CONFIDENCE = 0.99
#: Of the eight segments this many must show the same delay ...
LEAST_AGREEING = 3
#: ... within this much.
AGREEMENT_SAMPLES = 0.1
#: Half length of the interpolator: with its window it is flat to 25 Hz below half of 44.1 kHz.
_HALF_TAPS = 8192
#: Kaiser window of 140 dB side lobes: beta = 0.1102 (A - 8.7).
_BETA = 14.5


def correct(
    source: AudioBuffer, alignment: Alignment, path: Path | None = None, *, gain: bool = False
) -> AudioBuffer:
    """A copy of `source` without the delay and polarity that `alignment` found, of the same shape.

    Args:
        source: the recording that was `other` in `estimate_alignment`.
        alignment: what was found.
        path: file for the new buffer; in memory by default.
        gain: take the common gain out too.

    Whole frames are moved bit by bit; fractions by a Kaiser-windowed sinc of 16385 taps. What the shift
    brings in from beyond the recording is silence.

    Raises:
        AlignmentError: there is nothing to correct, or the delay is not one that may be corrected.
    """
    delay = checked_delay(alignment, gain)
    whole = int(np.floor(delay))
    taps = fractional_delay_taps(delay - whole)
    scale = float(alignment.polarity) * (10.0 ** (-alignment.gain_db / 20.0) if gain else 1.0)
    into = source.like(path)
    for start in range(0, source.frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, source.frames)
        if taps is None:
            shifted: npt.NDArray[np.floating] = source.read(start + whole, stop + whole)
        else:
            from scipy.signal import oaconvolve

            context = source.read(start + whole - _HALF_TAPS, stop + whole + _HALF_TAPS)
            shifted = oaconvolve(context.astype(np.float64), taps[None], mode="valid", axes=-1)
        into.write(start, shifted if scale == 1.0 else shifted * scale)
    return into


def checked_delay(alignment: Alignment, gain: bool = False) -> float:
    """The delay in samples to take out, 0.0 where only polarity or gain is off. Raises AlignmentError."""
    if alignment.silent:
        raise AlignmentError("One of the recordings is silent, so there is nothing to align.")
    delayed = abs(alignment.delay_samples) > LEAST_DELAY_SAMPLES
    if not delayed and alignment.polarity > 0 and not gain:
        raise AlignmentError(
            f"The delay of {abs(alignment.delay_samples):.3f} samples is too small to correct.",
            "Keep the file as it is.",
        )
    if alignment.confidence <= LEAST_CONFIDENCE:
        raise AlignmentError(
            f"The phases agree on one delay to {alignment.confidence:.3f} only, so a shift could do harm.",
            "Align an unprocessed version of the file.",
        )
    drift, error = alignment.drift_ppm or 0.0, alignment.drift_error_ppm or 0.0
    if abs(drift) > max(FAIL_DRIFT_PPM, DRIFT_SIGNIFICANCE * error):
        raise AlignmentError(
            f"The delay grows by {drift:+.1f} ppm, which no shift can undo.",
            "Resample the file to the other's clock.",
        )
    if not delayed:
        return 0.0
    agreeing = sum(
        abs(segment.delay_samples - alignment.delay_samples) <= AGREEMENT_SAMPLES
        for segment in alignment.segments
    )
    if agreeing < LEAST_AGREEING:
        raise AlignmentError(
            f"Only {agreeing} of {len(alignment.segments)} excerpts show the delay of "
            f"{alignment.delay_samples:.3f} samples, so it is not constant.",
            "Recordings of at least four seconds with one delay throughout can be corrected.",
        )
    nearest = round(alignment.delay_samples)
    return float(nearest) if abs(alignment.delay_samples - nearest) < 1e-3 else alignment.delay_samples


def fractional_delay_taps(advance: float) -> npt.NDArray[np.float64] | None:
    """Taps that move audio earlier by `advance`, 0 <= advance < 1, when convolved; None for 0.

    A sinc under a Kaiser window, both centred on the shift, so that the delay is the same at all frequencies
    (Laakso et al., "Splitting the unit delay", 1996).
    """
    if advance == 0.0:
        return None
    position = np.arange(-_HALF_TAPS, _HALF_TAPS + 1) + advance
    inside = np.clip(1.0 - (position / (_HALF_TAPS + 1)) ** 2, 0.0, None)
    taps = np.sinc(position) * np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA)
    return np.asarray(taps / taps.sum())

"""mono_compatibility: does the mono sum still hold what it held before, in every third of an octave?

Effects may change the tone and the width, so neither the level of the mono sum nor its share of the stereo
energy can be held against them alone. What breaks mono is mid that turns into side: a delayed or inverted
channel. So in each FFT bin the output's mid and side are split into what comes from the input's mid (by the
cross-spectrum) and the rest, and per band

    share = |mid -> mid|^2 / (|mid -> mid|^2 + |mid -> side|^2)

is compared before and after. An equaliser changes both terms alike, more side changes neither. Where the mono
sum's own level stayed as it was (side-only effects such as a delayed mid added to the side), that is enough.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from engine.alignment.model import FLOOR_DB
from engine.alignment.spectra import Real, stream_frames, window_length
from engine.alignment.verdict import Verdict
from engine.audio.buffer import AudioBuffer
from engine.errors import AlignmentError

#: Nobody hears 1 dB in a third of an octave when summing to mono.
PASS_DEVIATION_DB = 1.0
#: A delay of 12 ms on one channel, the classical mistake, measured 9.4 dB.
WARN_DEVIATION_DB = 3.0
#: Bands this far under the loudest don't count.
BAND_RANGE_DB = 60.0
#: Window that resolves the lowest third of an octave.
_WINDOW_S = 0.3
_LOWEST_BAND, _HIGHEST_BAND = -16, 13  # of 1 kHz * 2 ** (n / 3): 25 Hz to 20 kHz


class MonoBand(BaseModel):
    """One third of an octave."""

    model_config = ConfigDict(frozen=True)

    centre_hz: float
    #: Change of the mono sum that neither tone nor width explains; negative is a loss.
    deviation_db: float


class MonoCompatibility(BaseModel):
    """The worst band decides."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    worst_db: float = 0.0
    worst_hz: float = 0.0
    bands: list[MonoBand] = []


def mono_compatibility(before: AudioBuffer, after: AudioBuffer) -> MonoCompatibility:
    """Compare the mono sum of `after` with that of `before`, both stereo and of one shape.

    Recordings that are not stereo pass: there is nothing to sum.

    Raises:
        AlignmentError: the shapes or sample rates differ.
    """
    if (before.shape, before.sample_rate) != (after.shape, after.sample_rate):
        raise AlignmentError(
            f"The mono sums of {before.shape} at {before.sample_rate} Hz and {after.shape} at "
            f"{after.sample_rate} Hz can't be compared.",
            "Both must have one length, channel count and sample rate.",
        )
    if before.channels != 2:
        return MonoCompatibility(verdict=Verdict.PASS)
    length = window_length(before.frames, before.sample_rate, _WINDOW_S)
    sums = _MidSide(length)
    for x, y in stream_frames(before, after, 0, 0, before.frames, length):
        sums.add(x, y)
    frequencies: Real = np.arange(length // 2 + 1, dtype=np.float64) * (before.sample_rate / length)
    bands = _bands(sums, frequencies)
    if not bands:
        return MonoCompatibility(verdict=Verdict.PASS)
    worst = max(bands, key=lambda band: abs(band.deviation_db))
    size = abs(worst.deviation_db)
    verdict = Verdict.FAIL
    if size <= WARN_DEVIATION_DB:
        verdict = Verdict.PASS if size <= PASS_DEVIATION_DB else Verdict.WARN
    return MonoCompatibility(
        verdict=verdict, worst_db=worst.deviation_db, worst_hz=worst.centre_hz, bands=bands
    )


class _MidSide:
    """Welch sums of mid and side before and after, shape (bins,) each; scales cancel out."""

    def __init__(self, length: int) -> None:
        bins = length // 2 + 1
        self.frames = 0
        self.mid_before, self.side_before = np.zeros(bins), np.zeros(bins)
        self.mid_after, self.side_after = np.zeros(bins), np.zeros(bins)
        self.before_cross, self.mid_cross, self.side_cross = np.zeros((3, bins), np.complex128)

    def add(self, x: npt.NDArray[np.complex64], y: npt.NDArray[np.complex64]) -> None:
        mid, side = x[0] + x[1], x[0] - x[1]
        new_mid, new_side = y[0] + y[1], y[0] - y[1]
        for total, part in (
            (self.mid_before, mid),
            (self.side_before, side),
            (self.mid_after, new_mid),
            (self.side_after, new_side),
        ):
            total += np.square(np.abs(part)).sum(0, dtype=np.float64)
        for cross, part in (
            (self.before_cross, side),
            (self.mid_cross, new_mid),
            (self.side_cross, new_side),
        ):
            cross += (part * mid.conj()).sum(0, dtype=np.complex128)
        self.frames += x.shape[1]

    def from_mid(self, cross: npt.NDArray[np.complex128], power: Real) -> Real:
        """Energy in `power` that comes from the input's mid, less what comes up by chance."""
        floor = np.maximum(self.mid_before, 1e-30)
        explained = np.square(np.abs(cross)) / floor
        if self.frames > 1:
            explained = (explained - power / self.frames) / (1.0 - 1.0 / self.frames)
        return np.asarray(np.maximum(explained, 0.0))


def _bands(sums: _MidSide, frequencies_hz: Real) -> list[MonoBand]:
    edge = 2.0 ** (1.0 / 6.0)
    centres = [1000.0 * 2.0 ** (n / 3.0) for n in range(_LOWEST_BAND, _HIGHEST_BAND + 1)]
    masks = [(frequencies_hz >= hz / edge) & (frequencies_hz < hz * edge) for hz in centres]
    gate = 10.0 ** (-BAND_RANGE_DB / 10.0)
    loudest_mid = max(float(sums.mid_before[mask].sum()) for mask in masks)
    loudest = max(float((sums.mid_before + sums.side_before)[mask].sum()) for mask in masks)
    kept_before, kept_after = sums.mid_before, sums.from_mid(sums.mid_cross, sums.mid_after)
    lost_before = sums.from_mid(sums.before_cross, sums.side_before)
    lost_after = sums.from_mid(sums.side_cross, sums.side_after)
    bands = []
    for centre, mask in zip(centres, masks, strict=True):
        mid = float(sums.mid_before[mask].sum())
        if mid <= gate * max(loudest_mid, loudest):
            continue
        level = _decibels(float(sums.mid_after[mask].sum()), mid)
        share_before = _share(float(kept_before[mask].sum()), float(lost_before[mask].sum()))
        share_after = _share(float(kept_after[mask].sum()), float(lost_after[mask].sum()))
        share = _decibels(share_after, share_before)
        bands.append(MonoBand(centre_hz=centre, deviation_db=min(level, share, key=abs)))
    return bands


def _share(kept: float, lost: float) -> float:
    """1.0 where nothing of the input's mid is left: a gate closed, and nothing went to the side."""
    return kept / (kept + lost) if kept + lost > 0.0 else 1.0


def _decibels(value: float, over: float) -> float:
    if value <= 0.0 or over <= 0.0:
        return FLOOR_DB
    return max(10.0 * float(np.log10(value / over)), FLOOR_DB)

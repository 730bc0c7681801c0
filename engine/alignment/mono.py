"""mono_compatibility: does the mono sum still hold what it held before, in every third of an octave?

Effects may change the tone and the width, so neither the level of the mono sum nor its share of the stereo
energy can be held against them alone. What breaks mono is mid that turns into side: a delayed or inverted
channel. So in each FFT bin the output's mid and side are fitted with the input's mid and side (least squares
over time), which says how much of the input's mid arrives where, and per band

    share = |mid -> mid|^2 / (|mid -> mid|^2 + |mid -> side|^2)

is held against that of the input itself. An equaliser changes both terms alike, more side changes neither.
Where the mono sum's own level stayed as it was (side-only effects such as a delayed mid added to the side),
that is enough.
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
#: Part of the energy added to mid and side each, so that one panned source, which fills only one of two
#: dimensions, still has a solution.
_RIDGE = 1e-3
#: Bands with less of the input's mid than this, over what chance alone shows, hold new sound or none.
_CHANCE = 2.0
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
    """Welch sums per bin of mid and side: inputs, outputs, outputs against inputs. Scales cancel."""

    def __init__(self, length: int) -> None:
        bins = length // 2 + 1
        self.frames = 0
        self.inputs = np.zeros((2, 2, bins), np.complex128)
        self.outputs = np.zeros((2, bins))
        self.cross = np.zeros((2, 2, bins), np.complex128)

    def add(self, x: npt.NDArray[np.complex64], y: npt.NDArray[np.complex64]) -> None:
        source = (x[0] + x[1], x[0] - x[1])
        output = (y[0] + y[1], y[0] - y[1])
        for row in range(2):
            self.outputs[row] += np.square(np.abs(output[row])).sum(0, dtype=np.float64)
            for column in range(2):
                turned = source[column].conj()
                self.inputs[row, column] += (source[row] * turned).sum(0, dtype=np.complex128)
                self.cross[row, column] += (output[row] * turned).sum(0, dtype=np.complex128)
        self.frames += x.shape[1]

    def from_mid(self, cross: npt.NDArray[np.complex128], power: Real) -> Real:
        """Energy in mid and side, shape (2, bins), that comes from the input's mid; chance taken off.

        Args:
            cross: outputs against inputs, shape (2, 2, bins).
            power: of the outputs, shape (2, bins).
        """
        ridge = _RIDGE * (self.inputs[0, 0] + self.inputs[1, 1]).real + 1e-30
        mid, side = self.inputs[0, 0].real + ridge, self.inputs[1, 1].real + ridge
        mixed = self.inputs[0, 1]
        determinant = mid * side - np.square(np.abs(mixed))
        via_mid = (cross[:, 0] * side - cross[:, 1] * mixed.conj()) / determinant
        via_side = (cross[:, 1] * mid - cross[:, 0] * mixed) / determinant
        fitted = (via_mid * cross[:, 0].conj() + via_side * cross[:, 1].conj()).real
        chance = np.maximum(power - fitted, 0.0) / self.frames * (mid * side / determinant)
        return np.asarray(np.square(np.abs(via_mid)) * self.inputs[0, 0].real - chance)


def _bands(sums: _MidSide, frequencies_hz: Real) -> list[MonoBand]:
    edge = 2.0 ** (1.0 / 6.0)
    centres = [1000.0 * 2.0 ** (n / 3.0) for n in range(_LOWEST_BAND, _HIGHEST_BAND + 1)]
    masks = [(frequencies_hz >= hz / edge) & (frequencies_hz < hz * edge) for hz in centres]
    power = np.stack([sums.inputs[0, 0].real, sums.inputs[1, 1].real])
    loudest = max(float(power[:, mask].sum()) for mask in masks)
    before, after = sums.from_mid(sums.inputs, power), sums.from_mid(sums.cross, sums.outputs)
    bands = []
    for centre, mask in zip(centres, masks, strict=True):
        mid = float(power[0, mask].sum())
        if mid <= 10.0 ** (-BAND_RANGE_DB / 10.0) * loudest:
            continue
        arrived = after[:, mask].sum(1)
        if arrived.sum() <= _CHANCE * float(sums.outputs[:, mask].sum()) / sums.frames:
            continue
        share = _decibels(_share(arrived), _share(before[:, mask].sum(1)))
        level = _decibels(float(sums.outputs[0, mask].sum()), mid)
        bands.append(MonoBand(centre_hz=centre, deviation_db=min(level, share, key=abs)))
    return bands


def _share(energies: Real) -> float:
    kept, lost = np.maximum(energies, 0.0)
    return float(kept / max(kept + lost, 1e-30))


def _decibels(value: float, over: float) -> float:
    if value <= 0.0 or over <= 0.0:
        return FLOOR_DB
    return max(10.0 * float(np.log10(value / over)), FLOOR_DB)

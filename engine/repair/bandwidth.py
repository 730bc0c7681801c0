"""Bandwidth: continues a spectrum above the place where a coder, a sample rate or a filter cut it off.

The top is made by spectral replication (as in M. Dietz et al., "Spectral band replication, a novel approach
in audio coding", AES 112, 2002, without its side information): the band below the cutoff is whitened, copied
upwards as often as needed, and given the level that the slope of the same moment leads to. All that is added
was never recorded: it can sound right, and it is not what was there.

The sample rate stays what it is, so a file of 32 kHz can't get more than its 16 kHz: what is repaired is a
recording that was resampled from there to the rate of the session, or one that a coder cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import istft, stft, window_length
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float32]

_SPECTRUM_S = 0.093
_LOWEST_HZ = 3500.0
#: The mean level over `_SIDE_HZ` below a cutoff, over that of twice as much above: this at least. Measured on
#: undamaged mixes and stems: 3 to 38 dB; low-passed ones: 66 to 74 dB.
_STEP_DB = 15.0
#: And the loudest bin anywhere above lies this far below: at most 15 dB where undamaged, 42 and more where
#: low-passed.
_EMPTY_DB = 25.0
_SIDE_HZ = 500.0
_MEDIAN_HZ = 100.0
#: A cutoff further below the loudest bin than this is that of a bass, whose top nobody misses.
_QUIETEST_DB = -70.0
#: What is replicated ends this far below the cutoff, where the filter that cut has not begun.
_ROOM_HZ = 150.0
_COPIED_HZ = 2500.0
#: The slope is fitted to this width below the cutoff, in so many bands of equal share of an octave.
_FIT_HZ, _FIT_BANDS = 5800.0, 8
#: Steepest and flattest slope in dB per octave, and what it is smoothed over, in frames.
_STEEPEST, _FLATTEST, _SMOOTHING = -40.0, -6.0, 10.0
#: Bins over which the copied band is whitened.
_WHITENED_BINS = 11


@dataclass
class _Found:
    """The cutoff and what it looked like."""

    cutoff_hz: float
    step_db: float
    top_hz: float
    #: Mean power per bin of the recording.
    mean: float
    end_s: float


class Bandwidth(Repair):
    """A missing top is replaced up to `top_hz`; below the cutoff nothing changes."""

    effect: ClassVar[str] = "bandwidth"
    artifact: ClassVar[str] = "missing top"
    synthetic: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    #: The smoothing of the slope over time, at the rate where frames are longest.
    context_s: ClassVar[float] = 0.75

    top_hz: float = Field(
        20_000.0, ge=8000.0, le=24_000.0, description="frequency up to which the top is made"
    )
    #: 32 kHz resampled has its cutoff at 15.3 to 15.9 kHz; coders that cut at 16 kHz and above are heard as
    #: whole by most, and a recording should not change for it unasked.
    highest_cutoff_hz: float = Field(
        15_900.0, ge=4000.0, le=20_000.0, description="a cutoff above this is left as it is"
    )
    gain_db: float = Field(0.0, ge=-24.0, le=12.0, description="level of what is added")

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Look for a step in the mean spectrum with nothing above it."""
        length = window_length(source.sample_rate, _SPECTRUM_S)
        if source.frames < length:
            return None
        power = _mean_spectrum(source, length)
        mean = float(power.mean())
        top_hz = min(self.top_hz, 0.48 * source.sample_rate)
        found = _cutoff(power, source.sample_rate / length)
        if mean <= 0.0 or found is None or found[0] > min(self.highest_cutoff_hz, top_hz - _SIDE_HZ):
            return None
        return _Found(*found, top_hz, mean, source.frames / source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Add the top to the block."""
        length = window_length(sample_rate)
        hop = length // 4
        spectrum = stft(block, length, hop)
        if spectrum.shape[1] == 0:
            return block
        top = self._top(spectrum, start // hop, sample_rate / length, found)
        return block + istft(top, length, hop, block.shape[1])

    def _top(
        self, spectrum: npt.NDArray[np.complex64], first: int, hz: float, found: _Found
    ) -> npt.NDArray[np.complex64]:
        """What to add to `spectrum`, whose first frame is frame `first` of the recording."""
        from scipy.ndimage import uniform_filter1d

        cut, end = int((found.cutoff_hz - _ROOM_HZ) / hz), int(found.top_hz / hz)
        width = min(int(_COPIED_HZ / hz), cut // 2)
        source = spectrum[:, :, cut - width : cut]
        power = np.square(source.real) + np.square(source.imag)
        floor = np.float32(found.mean * 1e-10)
        white = source / np.sqrt(uniform_filter1d(power, _WHITENED_BINS, axis=2) + floor)
        slope, octave, level = self._slopes(spectrum, cut, hz, floor)
        frames = np.arange(first, first + spectrum.shape[1]) % 4
        added = np.zeros_like(spectrum)
        for low in range(cut, end, width):
            high = min(low + width, end)
            above = np.log2(np.arange(low, high)) - octave
            envelope = 10 ** ((level[:, :, None] + slope[:, None] * above + self.gain_db) / 10)
            present = np.square(spectrum[:, :, low:high].real) + np.square(spectrum[:, :, low:high].imag)
            missing = np.sqrt(np.maximum(envelope - present, 0)).astype(np.float32)
            # A shift by `low` - (`cut` - `width`) bins turns a partial by a quarter of that per hop.
            turn = np.exp(0.5j * np.pi * ((low - cut + width) * frames % 4)).astype(np.complex64)
            added[:, :, low:high] = white[:, :, : high - low] * missing * turn[:, None]
        return added

    def _slopes(
        self, spectrum: npt.NDArray[np.complex64], cut: int, hz: float, floor: np.float32
    ) -> tuple[Floats, float, Floats]:
        """Slope per frame in dB per octave, the octave it starts from, and each channel's level there."""
        from scipy.ndimage import gaussian_filter1d

        edges = np.unique(np.geomspace(max(cut - _FIT_HZ / hz, 0.25 * cut), cut, _FIT_BANDS + 1).astype(int))
        power = np.square(spectrum.real[:, :, edges[0] : cut]) + np.square(
            spectrum.imag[:, :, edges[0] : cut]
        )
        sums = np.add.reduceat(power, edges[:-1] - edges[0], axis=2) / np.diff(edges)
        linked = 10 * np.log10(sums.sum(axis=0) + floor)
        octaves = np.log2((edges[:-1] + edges[1:]) / 2)
        centred = octaves - octaves.mean()
        slope = (linked @ centred) / float(centred @ centred)
        slope = np.clip(gaussian_filter1d(slope, _SMOOTHING), _STEEPEST, _FLATTEST)
        level = (10 * np.log10(sums[:, :, -3:] + floor)).mean(axis=2)
        return slope.astype(np.float32), float(octaves[-3:].mean()), level.astype(np.float32)

    def describe(self, found: _Found) -> dict[str, Any]:
        """Where the cutoff is and what was made above it."""
        return self.damage_report(
            f"nothing above {found.cutoff_hz / 1000:.1f} kHz: the level drops {found.step_db:.0f} dB there",
            f"a top up to {found.top_hz / 1000:.1f} kHz was made from what is below; it was never recorded",
            [Place(start_s=0.0, end_s=found.end_s, low_hz=found.cutoff_hz, high_hz=found.top_hz)],
            cutoff_hz=found.cutoff_hz,
            step_db=found.step_db,
        )


def _mean_spectrum(source: AudioBuffer, length: int) -> npt.NDArray[np.float64]:
    """Mean power per bin over all channels and frames."""
    hop = length // 2
    total, count = np.zeros(length // 2 + 1), 0
    for start in range(0, source.frames, 1 << 17):
        spectrum = stft(source.read(start, min(start + (1 << 17) + hop, source.frames)), length, hop)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        total += power.sum(axis=(0, 1), dtype=np.float64)
        count += spectrum.shape[1]
    return total / max(count, 1)


def _cutoff(power: npt.NDArray[np.float64], hz: float) -> tuple[float, float] | None:
    """Frequency and height in dB of a cutoff in a mean spectrum with bins `hz` apart; None if it has none."""
    from scipy.ndimage import median_filter

    side = max(int(_SIDE_HZ / hz), 2)
    if len(power) < 5 * side or power.max() <= 0.0:
        return None
    level = 10 * np.log10(power + power.max() * 1e-13)
    level = median_filter(level, 2 * int(_MEDIAN_HZ / hz / 2) + 1)
    sums = np.concatenate(([0.0], np.cumsum(level)))
    at = np.arange(side, len(level) - 3 * side)
    gap = side // 2
    below = (sums[at] - sums[at - side]) / side
    above = (sums[at + gap + 2 * side] - sums[at + gap]) / (2 * side)
    step = np.where(at * hz > _LOWEST_HZ, below - above, 0.0)
    best = int(np.argmax(step))
    edge = int(at[best])
    empty = float(below[best] - level[edge + gap :].max())
    if step[best] < _STEP_DB or empty < _EMPTY_DB or below[best] < level.max() + _QUIETEST_DB:
        return None
    return (edge + side // 8) * hz, float(step[best])

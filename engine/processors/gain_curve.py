"""GainCurve: a gain over time, kept as one value per hop and the same for all channels.

Effects that change the level work out their gain over the whole recording in `analyse`, at the rate of an
`Envelope`, and `render` multiplies with it. One gain for all channels keeps the
stereo image where it is. Here is also what shapes such a curve over time: attack, release
and smoothing, all without a loop over values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio
from engine.processors.curve import PIECE, let_go, new_curve, pieces
from engine.processors.level import Curve

#: Time constants after which an exponential has faded to less than a millionth.
FADED = 15.0

#: Gains closer to 0 dB than this count as "nothing happens", and those further away than that as "active".
_INAUDIBLE_DB = 0.01
_ACTIVE_DB = 0.5


@dataclass(frozen=True)
class GainCurve:
    """Linear gain at the middle of every hop, shape (hops,)."""

    gain: Curve
    hop_length: int

    @property
    def lowest_db(self) -> float:
        """The smallest gain."""
        return 20 * math.log10(min(float(gain.min()) for (gain,) in pieces(self.gain)))

    @property
    def highest_db(self) -> float:
        """The largest gain."""
        return 20 * math.log10(max(float(gain.max()) for (gain,) in pieces(self.gain)))

    @property
    def is_audible(self) -> bool:
        """Whether the gain is away from 0 dB anywhere."""
        return max(-self.lowest_db, self.highest_db) >= _INAUDIBLE_DB

    @property
    def active_share(self) -> float:
        """Share of the time in which the gain is more than 0.5 dB away from 0 dB."""
        factor = 10 ** (_ACTIVE_DB / 20)
        active = 0
        for (gain,) in pieces(self.gain):
            active += np.count_nonzero(gain < 1 / factor) + np.count_nonzero(gain > factor)
        return round(float(active) / len(self.gain), 4)

    def over(self, start: int, count: int) -> Curve:
        """The gain of the frames [start, start + count), interpolated linearly between the hops.

        Before the first and after the last middle of a hop it stays constant.
        """
        hop = self.hop_length
        offset = start + hop // 2
        first, last = offset // hop, (offset + count - 1) // hop
        # A ramp runs from the middle of one hop to the middle of the next.
        index = np.arange(first - 1, last + 1).clip(0, len(self.gain) - 1)
        at = self.gain[index]
        ramp = (np.arange(hop, dtype=np.float32) + np.float32(0.5)) / np.float32(hop)
        ramps: Curve = at[:-1, None] + (at[1:] - at[:-1])[:, None] * ramp
        let_go(self.gain)
        skip = offset - first * hop
        return ramps.reshape(-1)[skip : skip + count]

    def apply(self, block: Audio, start: int) -> Audio:
        """`block`, whose first frame is frame `start` of the recording, with the gain."""
        return block * self.over(start, block.shape[1])


def from_db(gain_db: Curve) -> Curve:
    """Linear gain."""
    return np.power(10.0, gain_db / 20, dtype=np.float32)


def hops(milliseconds: float, hops_per_second: float) -> float:
    """A time constant in hops."""
    return milliseconds * 1e-3 * hops_per_second


def piecewise(shape: Callable[..., Curve], curves: Sequence[npt.NDArray[Any]], margin: float) -> Curve:
    """`shape(*curves)`, some minutes at a time, so that what it allocates doesn't grow with the recording.

    `margin` is how many hops away a value may still matter. What is below the functions here fades
    exponentially: take `FADED` time constants.
    """
    count, around = len(curves[0]), math.ceil(margin)
    out: Curve = new_curve(count)
    for begin in range(0, count, PIECE):
        low = max(0, begin - around)
        shaped = shape(*(curve[low : begin + PIECE + around] for curve in curves))
        out[begin : begin + PIECE] = shaped[begin - low : begin - low + PIECE]
        let_go(out, *curves)
    return out


def fall(curve: Curve, per_hop: float) -> Curve:
    """Follow every rise at once and fall by no more than `per_hop`: y[n] = max(x[n], y[n-1] - per_hop).

    With the slope taken out this is a running maximum: y[n] + n d = max over m <= n of (x[m] + m d).
    """
    slope = np.arange(len(curve)) * per_hop
    return np.asarray(np.maximum.accumulate(curve + slope) - slope, np.float32)


def decay(curve: Curve, time_constant: float) -> Curve:
    """Follow every rise at once and decay exponentially: y[n] = max(x[n], a y[n-1]), for values >= 0.

    `time_constant` is in hops. This is the first half of the decoupled peak detector of Giannoulis, Massberg,
    Reiss, "Digital Dynamic Range Compressor Design: A Tutorial and Analysis", J. AES 60(6), 2012.
    """
    tiny = np.float32(1e-12)
    decayed = np.exp(fall(np.log(np.maximum(curve, tiny)), 1 / max(time_constant, 1e-3)))
    return np.where(decayed > 2 * tiny, np.maximum(decayed, curve), curve)


def one_pole(curve: Curve, time_constant: float) -> Curve:
    """Exponential smoothing with `time_constant` in hops, starting settled at the first value."""
    from scipy.signal import lfilter

    a = math.exp(-1 / max(time_constant, 1e-3))
    settled = a * curve[:1].astype(np.float64)
    return np.asarray(lfilter([1 - a], [1, -a], curve.astype(np.float64), zi=settled)[0], np.float32)


def hann(curve: Curve, radius: int) -> Curve:
    """Smooth symmetrically over `radius` hops on both sides, weights of a Hann window."""
    from scipy.ndimage import convolve1d

    if radius < 1:
        return curve
    window = np.hanning(2 * radius + 3)[1:-1]
    return np.asarray(convolve1d(curve, window / window.sum(), mode="nearest"), np.float32)

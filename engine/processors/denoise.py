"""Denoise: takes stationary hiss out of a stem by log-spectral amplitude estimation.

Source: Y. Ephraim and D. Malah, "Speech enhancement using a minimum mean-square error log-spectral amplitude
estimator", IEEE Trans. ASSP 33 (1985), with their decision-directed a-priori SNR.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import GRID_FRAMES, Audio, AudioBuffer
from engine.processors.noise_profile import NoiseProfile, measure_noise
from engine.processors.processor import Processor
from engine.processors.stft import istft, stft

Floats = npt.NDArray[np.float32]

#: Weight of the previous frame in the a-priori SNR; per hop of a quarter window (11.6 ms at 44.1 kHz).
_SMOOTHING = np.float32(0.96)
_MIN_PRIOR_SNR = np.float32(10**-2.5)
_MAX_SNR = np.float32(1e4)
#: The gain table: steps per octave, and its first and last octave.
_STEPS, _FIRST, _LAST = 128, -14, 10
_LOWEST_V = np.float32(2.0**_FIRST)


@dataclass
class _State:
    """What was found, and where the recursion over frames stands; blocks come in order."""

    profile: NoiseProfile
    #: Speech power over noise power of the last frame before `next_frame`, per bin.
    previous: Floats
    next_frame: int | None = None


class Denoise(Processor):
    """Stationary hiss is lowered by up to `floor_db`; without such noise the stem stays as it is."""

    effect: ClassVar[str] = "denoise"
    linear: ClassVar[bool] = False
    #: More than one window and a hop at every rate.
    context_s: ClassVar[float] = 0.1

    floor_db: float = Field(-15.0, ge=-40.0, le=0.0, description="lowest gain that a bin may get, in dB")

    def analyse(self, source: AudioBuffer) -> _State | None:
        """Measure the noise in the pauses, else at the floor of the recording."""
        profile = measure_noise(source)
        return None if profile is None else self.prepared(profile)

    def prepared(self, profile: NoiseProfile) -> _State:
        """What `render` needs, for a noise profile from elsewhere."""
        return _State(profile, np.ones(profile.power.size, np.float32))

    def render(self, block: Audio, start: int, sample_rate: int, found: _State) -> Audio:
        """One gain per bin and frame, the same for all channels."""
        length = found.profile.length
        hop = length // 4
        spectrum = stft(block, length, hop)
        first = start // hop
        if found.next_frame != first:
            found.previous[:] = 1.0
        # The next block starts where this one's context on the right and the left does.
        context = -(-int(self.context_s * sample_rate) // GRID_FRAMES) * GRID_FRAMES
        ahead = (block.shape[1] - 2 * context) // hop
        power = np.square(spectrum.real).sum(axis=0) + np.square(spectrum.imag).sum(axis=0)
        gain = self._gain(power, found, ahead)
        found.next_frame = first + ahead
        spectrum *= gain
        return istft(spectrum, length, hop, block.shape[1])

    def _gain(self, power: Floats, found: _State, ahead: int) -> Floats:
        """Gain per frame and bin; leaves the recursion's state after frame `ahead - 1` in `found`."""
        profile = found.profile
        gain = np.ones_like(power)
        bins = np.flatnonzero(profile.trust > 0.01)
        part = slice(int(bins[0]), int(bins[-1]) + 1)
        snr = np.minimum(power[:, part] / np.maximum(profile.power[part], np.float32(1e-30)), _MAX_SNR)
        instant = (1 - _SMOOTHING) * np.maximum(snr - 1, 0)
        lowest = np.float32(10 ** (self.floor_db / 20))
        table = _gain_table()
        previous = found.previous[part].copy()
        prior, wiener, v, index = (np.empty_like(previous, dtype) for dtype in ("f4", "f4", "f4", "i4"))
        # In place: a song has a hundred frames a second, and new arrays would take half of the time.
        for frame in range(snr.shape[0]):
            if frame == ahead:
                found.previous[part] = previous
            np.multiply(previous, _SMOOTHING, out=prior)
            prior += instant[frame]
            np.maximum(prior, _MIN_PRIOR_SNR, out=prior)
            np.add(prior, 1, out=v)
            np.divide(prior, v, out=wiener)
            np.multiply(wiener, snr[frame], out=v)
            np.maximum(v, _LOWEST_V, out=v)
            np.log2(v, out=v)
            v -= _FIRST
            v *= _STEPS
            np.copyto(index, v, casting="unsafe")
            np.take(table, index, out=v, mode="clip")
            g = gain[frame, part]
            np.multiply(wiener, v, out=g)
            np.maximum(g, lowest, out=g)
            np.minimum(g, 1, out=g)
            np.multiply(g, g, out=previous)
            previous *= snr[frame]
        gain[:, part] = 1 + profile.trust[part] * (gain[:, part] - 1)
        return gain

    def describe(self, found: _State) -> dict[str, Any]:
        """The noise's level and where it was measured."""
        return {
            "noise_db": round(found.profile.level_db, 1),
            "measured_in": "pauses" if found.profile.pauses else "floor",
            "trusted_share": round(float(found.profile.trust.mean()), 3),
        }


@lru_cache
def _gain_table() -> Floats:
    """exp(E1(v) / 2), the estimator's gain over the Wiener gain, for v in equal steps of log2(v)."""
    from scipy.special import exp1

    v = 2.0 ** (_FIRST + (np.arange((_LAST - _FIRST) * _STEPS) + 0.5) / _STEPS)
    table: Floats = np.exp(0.5 * exp1(v)).astype(np.float32)
    return table

"""Dehiss: lowers stationary hiss, and takes nothing for hiss that moves with the music.

The noise is measured and filtered as `Denoise` does it (a bin counts where the quantiles of its power are
those of stationary Gaussian noise). That test alone takes a fast hi-hat for hiss, because between two strokes
its decay looks steady through the average over 100 ms that the test needs. Hiss has a second property: it is
a wall. Seen through a window of 23 ms and a band of 4 kHz, a recording with hiss never falls below a sharp
level, while the decay of an instrument falls on until the next stroke. So each band must show that wall
before its bins are trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.denoise import Denoise
from engine.processors.noise_profile import NoiseProfile, measure_noise
from engine.processors.stft import stft, window_length
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float32]

_WINDOW_S = 0.0232
#: Width of the bands, and the distance from one to the next.
_BAND_HZ, _STEP_HZ = 4000.0, 2000.0
#: The level of a band is this quantile over its bins: partials fill the upper ones.
_BIN_QUANTILE = 0.3
#: The wall stands between these quantiles over time ...
_FLOOR, _WALL, _RISE = 0.02, 0.1, 0.25
#: ... and the level grows by this many dB from the first to the last: up to the first figure it is hiss, from
#: the second on it is music. Measured: pure noise 0.9 (mono 1.3), hiss under music 1 to 2.5, drums and the
#: noise in sampled instruments 2.6 to 8.
_HISS_DB, _MUSIC_DB = 2.0, 2.6
#: A band that has no wall by this share has none.
_MIN_BAND_TRUST = 0.5
#: Hiss this far below the music is masked where the music never pauses, and where it does not.
_MASKED_DB, _AUDIBLE_DB = -50.0, -70.0
#: Bins below this count as left alone in the report.
_MIN_BIN_TRUST = 0.2
#: Levels are kept as counts in steps of this many dB, within this range of the profile's level.
_STEP_DB, _LOWEST_DB, _HIGHEST_DB = 0.1, -80.0, 80.0


@dataclass
class _Found:
    """The filter's state, and the figures for the report."""

    filter: Any
    level_db: float
    below_music_db: float
    bands_hz: list[tuple[float, float]]
    end_s: float


class Dehiss(Repair):
    """Stationary hiss is lowered by up to `floor_db`; where the noise moves with the music nothing happens.

    Source of the filter: see `engine.processors.denoise`.
    """

    effect: ClassVar[str] = "dehiss"
    artifact: ClassVar[str] = "hiss"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = Denoise.context_s

    floor_db: float = Field(-18.0, ge=-40.0, le=0.0, description="lowest gain that a bin may get, in dB")

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Measure the noise, then keep the bands that show the wall of hiss."""
        profile = measure_noise(source)
        if profile is None:
            return None
        trusts, offsets_db, power = _walls(source, profile)
        if trusts.max(initial=0.0) < _MIN_BAND_TRUST:
            return None
        profile = _confirmed(profile, trusts, offsets_db, source)
        below_db = profile.level_db - 10 * float(np.log10(power))
        if below_db < (_AUDIBLE_DB if profile.pauses else _MASKED_DB):
            return None
        hz = source.sample_rate / profile.length
        bands = [(float(low * hz), float(high * hz)) for low, high in _runs(profile.trust > _MIN_BIN_TRUST)]
        if not bands:
            return None
        state = self._filter().prepared(profile)
        return _Found(state, profile.level_db, below_db, bands, source.frames / source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """The log-spectral amplitude filter, one gain for all channels."""
        return self._filter().render(block, start, sample_rate, found.filter)

    def _filter(self) -> Denoise:
        return Denoise(floor_db=self.floor_db)

    def describe(self, found: _Found) -> dict[str, Any]:
        """How loud the hiss was and in which bands."""
        bands = ", ".join(f"{low:.0f} to {high:.0f} Hz" for low, high in found.bands_hz)
        return self.damage_report(
            f"steady hiss at {found.level_db:.0f} dBFS, {-found.below_music_db:.0f} dB below the music",
            f"lowered by up to {-self.floor_db:.0f} dB at {bands}",
            [Place(start_s=0.0, end_s=found.end_s, low_hz=low, high_hz=high) for low, high in found.bands_hz],
            noise_db=found.level_db,
            below_music_db=found.below_music_db,
        )


def _band_edges(sample_rate: int) -> Floats:
    """Lower and upper edges in Hz of overlapping bands that fill the spectrum, shape (bands, 2)."""
    nyquist = sample_rate / 2
    lows = np.arange(0.0, max(nyquist - _BAND_HZ, 0.0) + 1.0, _STEP_HZ)
    edges = np.stack([lows, np.minimum(lows + _BAND_HZ, nyquist)], axis=1)
    edges[-1, 1] = nyquist
    return edges.astype(np.float32)


def _walls(source: AudioBuffer, profile: NoiseProfile) -> tuple[Floats, Floats, float]:
    """For each band how far it is hiss (0..1), its level over the profile's in dB; and the mean power."""
    spread, wall_db, power = _spread(source, profile)
    trusts = np.clip((_MUSIC_DB - spread) / (_MUSIC_DB - _HISS_DB), 0.0, 1.0)
    return trusts.astype(np.float32), wall_db - np.float32(_wall_of_noise_db(source.channels)), power


def _spread(source: AudioBuffer, profile: NoiseProfile) -> tuple[Floats, Floats, float]:
    """Per band: growth of the level between two quantiles over time and the level between, in dB."""
    length = window_length(source.sample_rate, _WINDOW_S)
    hop = length // 2
    bins = length // 2
    # The noise in the bins of this shorter transform; both have a root-Hann window.
    share = length / profile.length
    noise = profile.power[:-1].reshape(bins, -1).mean(axis=1) * np.float32(share)
    edges = np.searchsorted(np.arange(bins) * source.sample_rate / length, _band_edges(source.sample_rate))
    counts = np.zeros((len(edges), int((_HIGHEST_DB - _LOWEST_DB) / _STEP_DB)), np.int64)
    energy = 0.0
    for start in range(0, source.frames, 1 << 17):
        block = source.read(start, min(start + (1 << 17), source.frames) + hop)
        energy += float(np.square(block[:, : 1 << 17]).sum(dtype=np.float64))
        spectrum = stft(block, length, hop)[:, :, :-1]
        power = (np.square(spectrum.real) + np.square(spectrum.imag)).sum(axis=0)
        sounding = power.sum(axis=1) > 1e-9 * noise.sum()
        power = power[sounding] / np.maximum(noise, np.float32(1e-30))
        for count, (low, high) in zip(counts, edges, strict=True):
            part = power[:, low:high]
            nth = int(_BIN_QUANTILE * part.shape[1])
            level = 10 * np.log10(np.partition(part, nth, axis=1)[:, nth] + np.float32(1e-12))
            steps = ((level - _LOWEST_DB) / _STEP_DB).clip(0, counts.shape[1] - 1).astype(np.int64)
            count += np.bincount(steps, minlength=count.size)
    below = np.cumsum(counts, axis=1) / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    floor, wall, rise = (
        _LOWEST_DB + _STEP_DB * np.array([np.interp(share, row, np.arange(row.size)) for row in below])
        for share in (_FLOOR, _WALL, _RISE)
    )
    return (
        (rise - floor).astype(np.float32),
        wall.astype(np.float32),
        energy / max(source.frames * source.channels, 1),
    )


@lru_cache
def _wall_of_noise_db(channels: int) -> float:
    """The wall in white noise of known power in this many channels, by the code it calibrates."""
    audio = np.random.default_rng(0).standard_normal((channels, 1 << 17), np.float32)
    length = window_length(44_100)
    flat = np.full(length // 2 + 1, channels * length / 2, np.float32)
    noise = NoiseProfile(length, flat, np.ones_like(flat), (), 0.0)
    return float(_spread(AudioBuffer.of(audio, 44_100), noise)[1].mean())


def _confirmed(
    profile: NoiseProfile, trusts: Floats, offsets_db: Floats, source: AudioBuffer
) -> NoiseProfile:
    """`profile` with the trust of its bands, and with the level of their walls."""
    centres = _band_edges(source.sample_rate).mean(axis=1)
    frequency = np.arange(profile.power.size) * (source.sample_rate / profile.length)
    # A level can be corrected only where it is noise, and never upwards: what is above may be music.
    offset_db = np.where(trusts > 0.0, np.minimum(offsets_db, 0.0), 0.0)
    power = profile.power * 10 ** (np.interp(frequency, centres, offset_db) / 10).astype(np.float32)
    trust = profile.trust * np.interp(frequency, centres, trusts).astype(np.float32)
    mean_square = 2 * float((power * trust).sum()) / (profile.length**2 / 2) / source.channels
    level_db = 10 * float(np.log10(mean_square + 1e-30))
    return replace(profile, power=power, trust=trust, level_db=level_db)


def _runs(wanted: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where `wanted` holds, as index ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], wanted, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

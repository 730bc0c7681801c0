"""Multiband: compresses each band by itself, so that a loud bass does not turn the treble down."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.processors.crossover import HIGHEST, split, split_blocks
from engine.processors.dynamics import above_knee, ballistics, level_db, reach
from engine.processors.gain_curve import GainCurve, from_db, piecewise
from engine.processors.level import Curve, gated_level_db, hop_length, hop_power
from engine.processors.processor import Processor

#: Hops of an envelope per value of a band's gain: about 3 ms, and a long recording's bands fit in memory.
_HOPS = 4
#: A band this far below the whole stem is empty and stays as it is.
_EMPTY_DB = 50.0
#: The lowest and the highest edge, which the filters' `context_s` allows for.
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 16_000.0


@dataclass(frozen=True)
class Found:
    """Edges in use, and per band the gain, make-up included; None for a band that stays."""

    edges_hz: tuple[float, ...]
    curves: tuple[GainCurve | None, ...]
    makeup_db: tuple[float, ...]


class Multiband(Processor):
    """Compressor in bands, linked over the channels; the bands sum to the input exactly.

    The crossovers are zero-phase (see the module `crossover`), so a band whose gain is 1 is not touched at
    all and nothing turns around an edge. Each band's threshold is relative to its own gated RMS level and its
    make-up gain is constant and gives that level back: the tonal balance stays, only its swings get smaller.
    """

    effect: ClassVar[str] = "multiband"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 1.6 / _LOWEST_HZ

    crossovers_hz: tuple[float, ...] = Field(
        (150.0, 1200.0, 6000.0), min_length=1, max_length=4, description="where the bands meet, rising"
    )
    threshold_db: float = Field(0.0, ge=-40, le=30, description="relative to each band's gated RMS level")
    ratio: float = Field(1.5, ge=1, le=10, description="dB of input per dB of output above the threshold")
    knee_db: float = Field(6.0, ge=0, le=24, description="width of the bend around the threshold")
    attack_ms: float = Field(15.0, ge=1, le=200, description="time constant of turning down")
    release_ms: float = Field(200.0, ge=5, le=5000, description="time constant of coming back")
    max_reduction_db: float = Field(4.0, ge=0, le=24, description="never turns a band down further than this")

    @field_validator("crossovers_hz")
    @classmethod
    def _edges_rise(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if not all(_LOWEST_HZ <= edge <= _HIGHEST_HZ for edge in edges):
            raise ValueError(f"crossovers_hz must be from {_LOWEST_HZ:g} to {_HIGHEST_HZ:g}")
        if any(upper < 1.5 * lower for lower, upper in pairwise(edges)):
            raise ValueError("crossovers_hz must rise by half an octave at least")
        return edges

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain of every band over time; None for silence and where no band rises above its threshold."""
        edges = tuple(edge for edge in self.crossovers_hz if edge < HIGHEST * source.sample_rate)
        hop = _HOPS * hop_length(source.sample_rate)
        rate = source.sample_rate / hop
        powers = np.zeros((len(edges) + 1, -(-source.frames // hop)), np.float32)
        whole = np.zeros(powers.shape[1], np.float32)
        for start, bands in split_blocks(source, edges, BLOCK_FRAMES):
            at = slice(start // hop, -(-(start + bands[0].shape[1]) // hop))
            whole[at] = hop_power(source.read(start, start + bands[0].shape[1]), hop)
            for power, band in zip(powers, bands, strict=True):
                power[at] = hop_power(band, hop)
        level = gated_level_db(whole, rate)
        if level is None:
            return None
        curves, makeups = zip(*(self._band(power, level, rate, hop) for power in powers), strict=True)
        return Found(edges, curves, makeups) if any(curves) else None

    def _band(
        self, power: Curve, whole_db: float, hops_per_second: float, hop: int
    ) -> tuple[GainCurve | None, float]:
        """Gain with its make-up, and the make-up by itself."""
        level = gated_level_db(power, hops_per_second)
        if level is None or level < whole_db - _EMPTY_DB:
            return None, 0.0
        margin = reach(self.attack_ms, self.release_ms, hops_per_second)
        gain = piecewise(
            lambda part: self._gain(part, level + self.threshold_db, hops_per_second), [power], margin
        )
        if not GainCurve(gain, hop).is_audible:
            return None, 0.0
        after = gated_level_db(power * gain * gain, hops_per_second)
        makeup_db = 0.0 if after is None else level - after
        gain *= np.float32(10 ** (makeup_db / 20))
        return GainCurve(gain, hop), makeup_db

    def _gain(self, power: Curve, threshold_db: float, hops_per_second: float) -> Curve:
        """Linear gain without make-up."""
        over_db = level_db(power, hops_per_second) - np.float32(threshold_db)
        reduction = np.float32(1 - 1 / self.ratio) * above_knee(over_db, self.knee_db)
        reduction = np.minimum(reduction, np.float32(self.max_reduction_db))
        return from_db(-ballistics(reduction, self.attack_ms, self.release_ms, hops_per_second))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block, and per band what its gain changes."""
        out: Audio = block.copy()
        for band, curve in zip(split(block, found.edges_hz, sample_rate), found.curves, strict=True):
            if curve is not None:
                band *= curve.over(start, block.shape[1]) - 1
                out += band
        return out

    def describe(self, found: Found) -> dict[str, Any]:
        """Per band, lowest first: its make-up and how far it is turned down for how long."""
        return {
            "crossovers_hz": list(found.edges_hz),
            "bands": [
                {
                    "makeup_db": round(makeup_db, 2),
                    "max_reduction_db": round(makeup_db - curve.lowest_db, 2) if curve else 0.0,
                }
                for curve, makeup_db in zip(found.curves, found.makeup_db, strict=True)
            ],
        }

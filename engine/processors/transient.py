"""Transient: makes the onsets and the tails of a stem's sounds stronger or weaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.gain_curve import FADED, GainCurve, fall, from_db, hann, hops, one_pole, piecewise
from engine.processors.level import TINY, Curve, Envelope
from engine.processors.processor import Processor

#: Difference of the envelopes at which three quarters of the wanted gain are reached.
_KNEE_DB = 9.0
#: What lies this far below the gated level is treated as the floor, so that noise in pauses has no onsets.
_FLOOR_DB = -50.0
#: The envelope holds for half a period of the lowest tone (25 Hz), so that it is flat on a steady one.
_HOLD_MS = 20.0
#: How fast the envelopes fall, in dB per second: the first follows the sound, the second lets it ring on.
_FOLLOW_DB_PER_S = 200.0
_RING_DB_PER_S = 30.0
#: The gain never goes further than this, whatever both parts add up to.
_LIMIT_DB = 6.0
#: Symmetric smoothing of the gain: a gain that steps at an onset clicks and adds DC. It is shorter than the
#: time for which an onset masks what comes before it.
_SMOOTH_MS = 3.0


@dataclass(frozen=True)
class Found:
    """The gain."""

    curve: GainCurve


class Transient(Processor):
    """Attack and sustain from differences of envelopes, linked over the channels; needs no threshold.

    After the principle of SPL's Transient Designer (Differential Envelope Technology, described in its
    manual): an envelope that follows the sound minus one with a slow attack is positive at onsets only; one
    with a slow release minus the one that follows is positive in tails only. All in dB, so only ratios count
    and the level doesn't matter. A tanh limits what a difference can do to the gain that was asked for.
    """

    effect: ClassVar[str] = "transient"
    linear: ClassVar[bool] = False

    attack_db: float = Field(3.0, ge=-6, le=6, description="gain of a strong onset")
    sustain_db: float = Field(0.0, ge=-6, le=6, description="gain of a long tail")
    attack_ms: float = Field(25.0, ge=2, le=200, description="how long an onset lasts")

    def analyse(self, source: AudioBuffer) -> Found | None:
        """The gain over time; None for silence and where it would stay at 0 dB."""
        envelope = Envelope.of(source)
        rate = envelope.hops_per_second
        level = envelope.gated_db
        if level is None:
            return None
        floor_db = level + _FLOOR_DB
        reach = (envelope.peak_db - floor_db) / _RING_DB_PER_S * rate + FADED * hops(self.attack_ms, rate)
        gain = piecewise(lambda peak: self._gain(peak, floor_db, rate), [envelope.peak], reach)
        curve = GainCurve(gain, envelope.hop_length)
        return Found(curve) if curve.is_audible else None

    def _gain(self, peak: Curve, floor_db: float, hops_per_second: float) -> Curve:
        """Linear gain from the peaks."""
        from scipy.ndimage import maximum_filter1d

        peak_db = np.maximum(20 * np.log10(np.maximum(peak, np.float32(TINY))), np.float32(floor_db))
        hold = max(1, round(hops(_HOLD_MS, hops_per_second)))
        # The maximum of the present and the past hops, none of the coming ones.
        held = maximum_filter1d(peak_db, hold, origin=(hold - 1) // 2, mode="nearest")
        follow = fall(held, _FOLLOW_DB_PER_S / hops_per_second)
        onset = np.maximum(follow - one_pole(follow, hops(self.attack_ms, hops_per_second)), 0)
        tail = fall(follow, _RING_DB_PER_S / hops_per_second) - follow
        gain_db = np.float32(self.attack_db) * np.tanh(onset / np.float32(_KNEE_DB))
        gain_db += np.float32(self.sustain_db) * np.tanh(tail / np.float32(_KNEE_DB))
        return from_db(hann(gain_db.clip(-_LIMIT_DB, _LIMIT_DB), round(hops(_SMOOTH_MS, hops_per_second))))

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """Range of the gain and how long it acts."""
        return {
            "max_gain_db": round(found.curve.highest_db, 2),
            "min_gain_db": round(found.curve.lowest_db, 2),
            "active_share": found.curve.active_share,
        }

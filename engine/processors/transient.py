"""Transient: makes the onsets and the tails of a stem's sounds stronger or weaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.gain_curve import INAUDIBLE_DB, GainCurve, active_share, fall, hann, hops, one_pole
from engine.processors.level import TINY, Envelope
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
#: Symmetric smoothing of the gain: without it the gain would step at an onset.
_SMOOTH_MS = 1.0


@dataclass(frozen=True)
class Found:
    """The gain, and what the report tells."""

    curve: GainCurve
    max_gain_db: float
    min_gain_db: float
    active_share: float


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
        from scipy.ndimage import maximum_filter1d

        envelope = Envelope.of(source)
        rate = envelope.hops_per_second
        level = envelope.gated_db
        if level is None:
            return None
        floor = np.float32(level + _FLOOR_DB)
        peak_db = np.maximum(20 * np.log10(np.maximum(envelope.peak, np.float32(TINY))), floor)
        hold = max(1, round(hops(_HOLD_MS, rate)))
        # The maximum of the present and the past hops, none of the coming ones.
        held = maximum_filter1d(peak_db, hold, origin=(hold - 1) // 2, mode="nearest")
        follow = fall(held, _FOLLOW_DB_PER_S / rate)
        onset = np.maximum(follow - one_pole(follow, hops(self.attack_ms, rate)), 0)
        gain_db = np.float32(self.attack_db) * np.tanh(onset / np.float32(_KNEE_DB))
        if self.sustain_db:
            tail = fall(follow, _RING_DB_PER_S / rate) - follow
            gain_db += np.float32(self.sustain_db) * np.tanh(tail / np.float32(_KNEE_DB))
        gain_db = hann(gain_db.clip(-6, 6), round(hops(_SMOOTH_MS, rate)))
        if float(np.abs(gain_db).max()) < INAUDIBLE_DB:
            return None
        return Found(
            curve=GainCurve.from_db(gain_db, envelope.hop_length),
            max_gain_db=float(gain_db.max()),
            min_gain_db=float(gain_db.min()),
            active_share=active_share(gain_db),
        )

    def render(self, block: Audio, start: int, sample_rate: int, found: Found) -> Audio:
        """The block with the gain."""
        return found.curve.apply(block, start)

    def describe(self, found: Found) -> dict[str, Any]:
        """Range of the gain and how long it acts."""
        return {
            "max_gain_db": round(found.max_gain_db, 2),
            "min_gain_db": round(found.min_gain_db, 2),
            "active_share": found.active_share,
        }

"""Alignment: how one recording lies against another, as plain numbers that fit into JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

#: What stands for the level of exact silence, in dB.
FLOOR_DB = -200.0


class BandAlignment(BaseModel):
    """One frequency band after the common delay was taken out."""

    model_config = ConfigDict(frozen=True)

    low_hz: float
    high_hz: float
    #: Of the reference, relative to its loudest band.
    level_db: float
    #: Like `Alignment.coherence`, in this band alone.
    coherence: float
    #: Phase that is left in the band, lead positive, polarity taken out.
    phase_deg: float
    #: Level of the other recording over that of the reference.
    gain_db: float


class ViewAlignment(BaseModel):
    """One channel, or the mid or side signal of two, by itself."""

    model_config = ConfigDict(frozen=True)

    #: `left`, `right`, `mid`, `side`, or `channel 3` and so on.
    name: str
    #: Of the reference, relative to its loudest view.
    level_db: float
    delay_samples: float
    polarity: Literal[1, -1]
    confidence: float
    coherence: float
    effective_bandwidth_hz: float


class SegmentDelay(BaseModel):
    """The delay in the loudest excerpt of one eighth of the recording."""

    model_config = ConfigDict(frozen=True)

    #: Middle of the excerpt, from the beginning of the reference.
    time_s: float
    delay_samples: float
    confidence: float


class Alignment(BaseModel):
    """How `other` lies against `reference`: other(t) = polarity * gain * reference(t - delay), and how well.

    The values of identical recordings are exact: delay 0, gain 0 dB, confidence and coherence 1.
    """

    model_config = ConfigDict(frozen=True)

    #: Of both recordings, in Hz.
    sample_rate: int
    #: Positive where `other` is late.
    delay_samples: float = 0.0
    polarity: Literal[1, -1] = 1
    #: Common gain of what the two share; an equaliser's gain is in the bands.
    gain_db: float = 0.0
    #: Share of the trusted spectrum whose phase agrees with one delay and polarity, 0..1.
    confidence: float = 1.0
    #: Energy-weighted phase coherence, 0..1: how steady the phase is over time. Gain may change freely.
    coherence: float = 1.0
    #: RMS frequency of the trusted spectrum; 0 where there was nothing to estimate.
    effective_bandwidth_hz: float = 0.0
    #: What the delay is worth at that frequency.
    delay_degrees: float = 0.0
    #: Growth of the delay in millionths of the time, None for recordings too short to tell.
    drift_ppm: float | None = None
    #: Standard error of `drift_ppm`.
    drift_error_ppm: float | None = None
    bands: list[BandAlignment] = Field(default_factory=list)
    views: list[ViewAlignment] = Field(default_factory=list)
    segments: list[SegmentDelay] = Field(default_factory=list)
    #: Every sample is the same.
    identical: bool = False
    #: One recording or both are silent, so that there is nothing to compare; the other values are neutral.
    silent: bool = False
    #: Which of the two is silent.
    silent_in: list[Literal["reference", "other"]] = Field(default_factory=list)

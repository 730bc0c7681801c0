"""Drift: the delay of one excerpt after the other, and how it grows with time."""

from __future__ import annotations

import numpy as np

from engine.alignment.fine import SPAN_FRAMES, FineDelay, fit_spectra, is_period
from engine.alignment.model import SegmentDelay
from engine.alignment.spectra import cross_spectra
from engine.audio.buffer import AudioBuffer

#: A slope needs this many points.
_MIN_SEGMENTS = 3
#: Excerpts whose phases agree less have no delay to speak of: compressed pure bass wanders by some samples.
_SURE = 0.98


def segment_delays(
    reference: AudioBuffer, other: AudioBuffer, spans: list[tuple[int, int]], lags: list[int], whole_lag: int
) -> list[SegmentDelay]:
    """The delay in each excerpt `spans`, near its own whole-frame lag or that of the whole recording."""
    segments = []
    for span, own_lag in zip(spans, lags, strict=True):
        lag, fit = own_lag, _fit(reference, other, own_lag, span)
        if abs(own_lag - whole_lag) > SPAN_FRAMES:
            near = _fit(reference, other, whole_lag, span)
            if is_period(near, fit):
                lag, fit = whole_lag, near
        segments.append(
            SegmentDelay(
                time_s=sum(span) / 2 / reference.sample_rate,
                delay_samples=lag + fit.delay_samples,
                confidence=fit.confidence,
            )
        )
    return segments


def _fit(reference: AudioBuffer, other: AudioBuffer, lag: int, span: tuple[int, int]) -> FineDelay:
    spectra = cross_spectra(reference, other, lag, span, mid_side=False)
    return fit_spectra(spectra, spectra.channels_only)[0]


def drift_ppm(segments: list[SegmentDelay], sample_rate: int) -> tuple[float | None, float | None]:
    """Slope of the delay over time and its standard error, both in ppm; None for fewer than three segments.

    The slope is the median of all pairwise slopes (Theil-Sen), which one wrong segment can't move.
    """
    sure = [segment for segment in segments if segment.confidence >= _SURE]
    if len(sure) < _MIN_SEGMENTS:
        return None, None
    time = np.array([segment.time_s for segment in sure]) * sample_rate
    delay = np.array([segment.delay_samples for segment in sure])
    later, earlier = np.tril_indices(len(sure), -1)
    slope = float(np.median((delay[later] - delay[earlier]) / (time[later] - time[earlier])))
    rest = delay - slope * time
    scatter = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    error = scatter / float(np.sqrt(((time - time.mean()) ** 2).sum()))
    return slope * 1e6, error * 1e6

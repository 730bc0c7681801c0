"""estimate_alignment: delay, polarity, gain, drift and phase coherence of one recording against another.

Two passes in blocks: a survey that finds identity, silence and the loudest excerpts, then Welch
cross-spectra over everything, at the whole-frame lag that the excerpts agree on. Left and right are summed as
cross-spectra, not as samples, so that a wide or side-only recording counts in full.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np

from engine.alignment.coarse import correlate, peak_lag
from engine.alignment.drift import drift_ppm, segment_delays
from engine.alignment.fine import (
    REPEAT_FRAMES,
    SPAN_FRAMES,
    FineDelay,
    Mask,
    audible,
    fit_spectra,
    is_period,
    unbiased,
)
from engine.alignment.model import FLOOR_DB, Alignment, BandAlignment, ViewAlignment
from engine.alignment.spectra import CrossSpectra, Real, cross_spectra
from engine.alignment.survey import survey
from engine.audio.buffer import AudioBuffer
from engine.errors import AlignmentError

__all__ = ["BANDS_HZ", "Alignment", "estimate_alignment"]

#: Band edges in Hz.
BANDS_HZ = (20.0, 60.0, 150.0, 400.0, 1000.0, 2500.0, 6000.0, 12000.0, 20000.0)
#: Bands 90 dB under everything are empty.
_EMPTY_BAND = 1e-9


def estimate_alignment(reference: AudioBuffer, other: AudioBuffer, *, max_lag: int = 4096) -> Alignment:
    """Measure how `other` lies against `reference`, both of any length.

    Args:
        reference: for a stem, the stem before its chain.
        other: the same channel count and sample rate; the length may differ.
        max_lag: largest delay in frames, either way, that is looked for.

    Returns:
        The alignment. Bit-identical recordings give exact values and no bands, views or segments.

    Raises:
        AlignmentError: sample rates or channel counts differ.

    The method is rho-PHAT for the whole frames and a maximum-likelihood fit of the phase slope for the rest;
    see `engine.alignment.coarse` and `engine.alignment.fine`.
    """
    if (reference.channels, reference.sample_rate) != (other.channels, other.sample_rate):
        raise AlignmentError(
            f"Recordings of {reference.channels} channels at {reference.sample_rate} Hz and {other.channels} "
            f"channels at {other.sample_rate} Hz can't be aligned.",
            "Convert one of them first.",
        )
    found = survey(reference, other)
    if found.reference_silent or found.other_silent:
        flags: dict[Literal["reference", "other"], bool] = {
            "reference": found.reference_silent,
            "other": found.other_silent,
        }
        silent_in = [name for name, silent in flags.items() if silent]
        return Alignment(
            sample_rate=reference.sample_rate, silent=True, silent_in=silent_in, identical=found.identical
        )
    if found.identical:
        return Alignment(sample_rate=reference.sample_rate, identical=True)

    max_lag = min(max_lag, max(reference.frames, other.frames) // 2)
    correlations = [correlate(reference, other, span, max_lag) for span in found.excerpts]
    lag = peak_lag(np.sum(correlations, axis=0))
    spectra = cross_spectra(reference, other, lag)
    fit, weights = fit_spectra(spectra, spectra.channels_only)
    if abs(lag) > SPAN_FRAMES:
        at_zero = cross_spectra(reference, other, 0)
        near, near_weights = fit_spectra(at_zero, at_zero.channels_only)
        if is_period(near, fit):
            lag, spectra, fit, weights = 0, at_zero, near, near_weights
    if abs(fit.delay_samples) > REPEAT_FRAMES:
        lag += round(fit.delay_samples)
        spectra = cross_spectra(reference, other, lag)
        fit, weights = fit_spectra(spectra, spectra.channels_only)
    segments = []
    if len(found.excerpts) > 1:
        lags = [peak_lag(correlation) for correlation in correlations]
        segments = segment_delays(reference, other, found.excerpts, lags, lag)
    drift, drift_error = drift_ppm(segments, reference.sample_rate)

    delay = lag + fit.delay_samples
    bandwidth = _effective_bandwidth_hz(weights, spectra.frequencies_hz)
    return Alignment(
        sample_rate=reference.sample_rate,
        delay_samples=delay,
        polarity=fit.polarity,
        gain_db=_gain_db(spectra, fit, weights),
        confidence=fit.confidence,
        coherence=_coherence(spectra, audible(spectra.frequencies_hz)),
        effective_bandwidth_hz=bandwidth,
        delay_degrees=360.0 * bandwidth * delay / reference.sample_rate,
        drift_ppm=drift,
        drift_error_ppm=drift_error,
        bands=_bands(spectra, fit, weights),
        views=_views(spectra, lag),
        segments=segments,
    )


def _effective_bandwidth_hz(weights: Real, frequencies_hz: Real) -> float:
    total = float(weights.sum())
    return float(np.sqrt((weights * frequencies_hz**2).sum() / total)) if total > 0.0 else 0.0


def _gain_db(spectra: CrossSpectra, fit: FineDelay, weights: Real) -> float:
    """Least-squares gain of the shared part, over the trusted spectrum."""
    rows = spectra.channels_only
    omega = np.pi * np.arange(len(weights)) / (len(weights) - 1)
    turned = spectra.cross[rows].sum(0) * np.exp(1j * omega * fit.delay_samples)
    return _decibels(
        abs(float((weights * turned.real).sum())),
        float((weights * spectra.reference[rows].sum(0)).sum()),
        20.0,
    )


def _coherence(spectra: CrossSpectra, bins: Mask) -> float:
    """Energy-weighted phase coherence over `bins`, squared like a magnitude-squared coherence.

    Against the common coherence, |sum Y conj(X)| is divided by sum |Y||X| and not by the root of sum |Y|^2
    times sum |X|^2, so that a gain that changes over time (a gate, a denoiser, a compressor) costs nothing,
    while phases that wander cost everything. Channels and mid/side both hold the whole recording; the better
    one counts, for a change of balance is steady in the first alone and a change of width in the second.
    """
    best = 0.0
    for basis in spectra.bases:
        cross = np.abs(spectra.cross[basis].sum(0))[bins]
        magnitude = spectra.magnitude[basis].sum(0)[bins]
        total = float(magnitude.sum())
        if total <= 0.0:
            continue
        steady = np.clip(unbiased((cross / np.maximum(magnitude, 1e-60)) ** 2, spectra.frames), 0.0, 1.0)
        best = max(best, float((steady * magnitude).sum()) / total)
    return best


def _bands(spectra: CrossSpectra, fit: FineDelay, weights: Real) -> list[BandAlignment]:
    rows = spectra.channels_only
    frequencies = spectra.frequencies_hz
    before, after = spectra.reference[rows].sum(0), spectra.other[rows].sum(0)
    omega = np.pi * np.arange(len(weights)) / (len(weights) - 1)
    cross = spectra.cross[rows].sum(0)
    votes = weights * np.exp(1j * (np.angle(cross) + omega * fit.delay_samples)) * fit.polarity
    edges = list(pairwise(BANDS_HZ))
    masks = [(frequencies >= low) & (frequencies < high) & audible(frequencies) for low, high in edges]
    loudest = max(float(before[mask].sum()) for mask in masks)
    bands = []
    for (low, high), mask in zip(edges, masks, strict=True):
        energy = float(before[mask].sum())
        if energy <= _EMPTY_BAND * loudest or not weights[mask].any():
            continue
        bands.append(
            BandAlignment(
                low_hz=low,
                high_hz=high,
                level_db=_decibels(energy, loudest),
                coherence=_coherence(spectra, mask),
                phase_deg=float(np.degrees(np.angle(votes[mask].sum()))),
                gain_db=_decibels(float(after[mask].sum()), energy),
            )
        )
    return bands


def _views(spectra: CrossSpectra, lag: int) -> list[ViewAlignment]:
    energies = spectra.reference.sum(1)
    loudest = float(energies.max())
    views = []
    for view, name in enumerate(spectra.names):
        fit, weights = fit_spectra(spectra, slice(view, view + 1))
        magnitude = float(spectra.magnitude[view].sum())
        steady = float(np.abs(spectra.cross[view]).sum()) / magnitude if magnitude > 0.0 else 0.0
        views.append(
            ViewAlignment(
                name=name,
                level_db=_decibels(float(energies[view]), loudest),
                delay_samples=lag + fit.delay_samples,
                polarity=fit.polarity,
                confidence=fit.confidence,
                coherence=min(steady**2, 1.0),
                effective_bandwidth_hz=_effective_bandwidth_hz(weights, spectra.frequencies_hz),
            )
        )
    return views


def _decibels(value: float, over: float, factor: float = 10.0) -> float:
    if value <= 0.0 or over <= 0.0:
        return FLOOR_DB
    return max(factor * float(np.log10(value / over)), FLOOR_DB)

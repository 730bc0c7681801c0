"""Deresonate: takes out narrow tones that stand still through a whole recording, whatever the music does.

Such a line is told from music by three things. Its phase runs on evenly from frame to frame, which no note
does that is struck again; it stands out of its neighbours; and in the softest moments around its frequency it
is there as in the loud ones, with the same amplitude and phase, which the ringing of a sequenced hi-hat is
not. A drone has lines like that too, but on a fundamental: a line with such lines at its subharmonics is left
alone, and so is everything below 1 kHz.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import stft, window_length
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float32]

_WINDOW_S = 0.37
_LOWEST_HZ = 1000.0
#: Mean resultant length of the phase's advance from frame to frame: 1 for a tone that stands still, and 0.1
#: for noise.
_LEAST_COHERENCE = 0.75
#: A line's mean level in dB stands this far over the median of its neighbours.
_PROMINENCE_DB = 6.0
_NEIGHBOURS = 41
#: Sequenced drums that repeat the same sample have lines all over the spectrum. So a line must stand out by
#: more where its neighbours are coherent: from the first figure for the upper fifth of them up, rising to
#: `_AMONG_LINES_DB` at the second. Measured on such drums: up to 17 dB at 0.62 and more.
_NEIGHBOURHOOD, _COHERENT, _AMONG_LINES_DB = 81, (0.35, 0.55), 19.0
#: For the softest moments: a shorter window, the share of its frames, and the neighbours that tell.
_SHORT_S, _SOFTEST, _REACH_BINS = 0.0464, 0.2, 8
#: Its amplitude there over that of all frames: 1 for a tone that stands still, 0.5 and less for hi-hats.
_SAME = (0.7, 1.4)
#: From piece to piece of 1.5 s the phase runs on: 1 for a tone that stands still. And its level stays, from
#: one to the other of these quantiles.
_PIECE_FRAMES, _LEAST_PIECES, _EVEN = 64, 4, 0.85
_QUANTILES, _STEADY_DB = (0.1, 0.9), 5.0
_MOST_LINES = 32
#: A drone's harmonics, and how far one may be off in Hz of the fundamental.
_HARMONICS, _OFF_HZ = 40, 0.1
_LEAST_FRAMES = 16
#: Half of the time over which a line is followed: it is taken out together with what is within 1 Hz of it.
_HALF_S = 1.0


@dataclass
class _Line:
    """One line, and how far it stands out."""

    hz: float
    prominence_db: float


@dataclass
class _Found:
    """The lines, and the filter that is all of them."""

    lines: list[_Line]
    taps: npt.NDArray[np.float32]
    end_s: float


class Deresonate(Repair):
    """Standing tones above 1 kHz are subtracted, each with what is within 1 Hz of it; no phase is turned."""

    effect: ClassVar[str] = "deresonate"
    artifact: ClassVar[str] = "standing resonances"
    linear: ClassVar[bool] = True
    context_s: ClassVar[float] = _HALF_S + 0.01

    prominence_db: float = Field(
        _PROMINENCE_DB,
        ge=6.0,
        le=40.0,
        description="how far a line stands over its neighbours at least, in dB",
    )

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Find the lines in two passes: one for phases and mean levels, one for the softest moments."""
        from scipy.ndimage import percentile_filter

        length = window_length(source.sample_rate, _WINDOW_S)
        statistics = _statistics(source, length)
        if statistics is None:
            return None
        level, coherence, offset = statistics
        hz = source.sample_rate / length
        prominence = _prominence(level)
        beside = percentile_filter(coherence, 80, _NEIGHBOURHOOD)
        least = np.interp(beside, _COHERENT, (self.prominence_db, max(_AMONG_LINES_DB, self.prominence_db)))
        bins = np.flatnonzero((coherence > _LEAST_COHERENCE) & (prominence > least))
        if len(bins) == 0:
            return None
        strongest = np.sort(bins[np.argsort(prominence[bins])[::-1][: 2 * _MOST_LINES]])
        candidates = [_Line(float((k + offset[k]) * hz), float(prominence[k])) for k in strongest]
        found = _standing(source, candidates)[:_MOST_LINES]
        lines = [line for line in found if line.hz >= _LOWEST_HZ and not _is_harmonic(line, found)]
        if not lines:
            return None
        taps = _taps([line.hz for line in lines], source.sample_rate)
        return _Found(lines, taps, source.frames / source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Subtract what the narrow filters around the lines let through."""
        from scipy.signal import oaconvolve

        lines = oaconvolve(block, found.taps[None], mode="same", axes=-1)
        return np.asarray(block - lines, np.float32)

    def describe(self, found: _Found) -> dict[str, Any]:
        """The frequencies."""
        listed = ", ".join(f"{line.hz:.1f}" for line in found.lines[:12])
        places = [
            Place(start_s=0.0, end_s=found.end_s, low_hz=line.hz - 1, high_hz=line.hz + 1)
            for line in found.lines
        ]
        strongest = max(line.prominence_db for line in found.lines)
        return self.damage_report(
            f"{len(found.lines)} tones that stand still through the recording, at {listed} Hz",
            "taken out, with what is within 1 Hz of them",
            places,
            tones=float(len(found.lines)),
            strongest_prominence_db=strongest,
        )


def _frames(source: AudioBuffer, length: int) -> Iterator[npt.NDArray[np.complex64]]:
    """Spectra, shape (channels, frames, bins), half a window apart; each begins with the last one's last."""
    hop = length // 2
    size = 16 * length
    for start in range(0, source.frames - length + 1, size):
        yield stft(source.read(start, min(start + size + length, source.frames)), length, hop)


def _statistics(source: AudioBuffer, length: int) -> tuple[Floats, Floats, Floats] | None:
    """Per bin the mean level in dB, the coherence of the phase's advance, and the line's offset in bins."""
    bins = length // 2 + 1
    level, advance = np.zeros(bins), np.zeros(bins, np.complex128)
    weight, count = np.zeros(bins), 0
    for spectrum in _frames(source, length):
        if spectrum.shape[1] < 2:
            continue
        cross = (spectrum[:, 1:] * spectrum[:, :-1].conj()).sum(axis=0)
        magnitude = np.abs(cross)
        sounding = magnitude > 0
        advance += np.where(sounding, cross / np.where(sounding, magnitude, 1), 0).sum(axis=0)
        weight += sounding.sum(axis=0)
        level += np.where(sounding, np.log10(np.where(sounding, magnitude, 1)), 0).sum(axis=0)
        count += cross.shape[0]
    if count < _LEAST_FRAMES or not weight.any():
        return None
    level = np.where(weight > count / 2, 10 * level / np.maximum(weight, 1), -np.inf)
    # Half a window: bin k turns by pi k from frame to frame; what is left is the line's place within it.
    turned = np.angle(advance * np.where(np.arange(bins) % 2, -1, 1)) / np.pi
    coherence = np.abs(advance) / np.maximum(weight, 1)
    return level.astype(np.float32), coherence.astype(np.float32), turned.astype(np.float32)


def _prominence(level: Floats) -> Floats:
    """How far each peak stands over the median of its neighbours in dB; -inf for what is no peak."""
    from scipy.ndimage import maximum_filter1d, median_filter

    lowest = level[np.isfinite(level)].min(initial=0.0)
    level = np.maximum(level, lowest)
    peak = level >= maximum_filter1d(level, 9)
    return np.where(peak, level - median_filter(level, _NEIGHBOURS), -np.inf).astype(np.float32)


def _standing(source: AudioBuffer, lines: list[_Line]) -> list[_Line]:
    """Those of `lines` whose amplitude and phase are the same in the softest moments as in all."""
    length = window_length(source.sample_rate, _SHORT_S)
    hop = length // 2
    hz = np.array([line.hz for line in lines])
    bins = np.round(hz * length / source.sample_rate).astype(int)
    # Not the line itself, whose main lobe is three bins wide.
    sides = np.concatenate([np.arange(-_REACH_BINS, -2), np.arange(3, _REACH_BINS + 1)])
    around = np.clip(bins[:, None] + sides, 0, length // 2)
    size = _PIECE_FRAMES * hop
    softly, always = [], []
    for start in range(0, source.frames - size - hop + 1, size):
        spectrum = stft(source.read(start, start + size + hop), length, hop)
        time = (start + np.arange(spectrum.shape[1])[:, None] * hop) / source.sample_rate
        tones = spectrum[:, :, bins] * np.exp(-2j * np.pi * hz * time)
        beside = np.square(np.abs(spectrum[:, :, around])).sum(axis=(0, 3))
        if not beside.any():
            continue
        softest = np.argsort(beside, axis=0)[: int(_SOFTEST * _PIECE_FRAMES)]
        softly.append(np.take_along_axis(tones, softest[None], axis=1).mean(axis=1))
        always.append(tones.mean(axis=1))
    if len(softly) < _LEAST_PIECES:
        return []
    soft, every = np.stack(softly), np.stack(always)
    # Shape (pieces, channels, lines) from here on.
    power = np.square(np.abs(soft)).sum(axis=1)
    same = (soft * every.conj()).real.sum(axis=(0, 1)) / np.maximum(power.sum(axis=0), 1e-30)
    next_to = np.abs((soft[1:] * soft[:-1].conj()).sum(axis=(0, 1)))
    even = next_to / np.maximum(np.sqrt(power[1:] * power[:-1]).sum(axis=0), 1e-30)
    low, high = np.quantile(10 * np.log10(power + 1e-30), _QUANTILES, axis=0)
    kept = (same >= _SAME[0]) & (same <= _SAME[1]) & (even >= _EVEN) & (high - low <= _STEADY_DB)
    return [line for line, keep in zip(lines, kept, strict=True) if keep]


def _is_harmonic(line: _Line, others: list[_Line]) -> bool:
    """Whether one of the others below 1 kHz is a subharmonic."""
    return any(
        abs(line.hz / number - other.hz) < _OFF_HZ
        for number in range(2, _HARMONICS + 1)
        for other in others
        if other.hz < _LOWEST_HZ
    )


def _taps(lines_hz: list[float], sample_rate: int) -> npt.NDArray[np.float32]:
    """One symmetric band-pass per line, all in one filter, gain 1 at the lines."""
    half = int(_HALF_S * sample_rate)
    t = np.arange(-half, half + 1)
    window = np.hanning(2 * half + 3)[1:-1]
    window /= window.sum()
    taps = np.zeros(2 * half + 1)
    for hz in lines_hz:
        taps += 2 * window * np.cos(2 * np.pi * hz / sample_rate * t)
    return taps.astype(np.float32)

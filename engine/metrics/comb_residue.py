"""comb_residue: the lines that strided neural decoders leave at whole fractions of the sample rate.

A transposed convolution of stride P treats the samples n, n + P, n + 2P ... alike, so biases and unequal
gains repeat every P samples: lines at k * rate / P (Odena, Dumoulin and Olah, "Deconvolution and
checkerboard artifacts", 2016; Afchar et al., "A Fourier explanation of AI-music artifacts", 2025). Music is
not tuned to the sample rate, so a row of lines just there, standing up over its neighbours for the whole
recording, is telling. It is a meter of this one artifact and no detector of how music was made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import bin_frequencies, fft_length, frame_power

Levels = npt.NDArray[np.float64]

#: Periods looked for, in samples: products of strides, which are made of 2, 3 and 5.
PERIODS = tuple(p for p in range(6, 65) if 2**6 * 3**3 * 5**2 % p == 0)
#: Rates at which generators run; a comb keeps its frequencies when the recording is resampled afterwards.
ORIGIN_RATES_HZ = (44100, 48000, 32000, 24000)
#: Twenty recordings of music stay below 1.8 dB in half a minute; what six codecs made of two has 3 to 8.
FOUND_DB = 2.3
#: In few frames chance makes lines; the limit rises with one over the root of their number.
_CHANCE_DB = 9.0
#: The level of a comb is that of its lower third of lines: a chord that hits half of them is none.
_QUANTILE = 0.35
#: Shares of a sample by which periods are wrong on purpose: music that is as strong there has no comb.
_DECOYS = tuple(0.1 + 0.8 * (index + 0.5) / 10 for index in range(10))
#: Lower lines stand among the bass and its drums; above, lossy files hold little but their own holes.
_LOWEST_HZ, _HIGHEST_HZ = 150.0, 16000.0
#: A chance tone looks like a comb of one line. At other rates than its own there are more chances.
_FEWEST_LINES, _FEWEST_ELSEWHERE = 3, 5
#: Long windows: 0.7 Hz a bin at 44.1 kHz, so that music moves out of a line's bin and the line stays.
_WINDOW_S = 1.5
#: Neighbours on either side, in bins, from the line's own main lobe outwards.
_NEAR_BINS, _FAR_BINS = 5, 45
#: A comb of period P has the lines of P / 2 too: the longest period within this of the best is named.
_SAME_DB = 1.5


@dataclass(frozen=True)
class CombResidue:
    """The strongest comb of a recording."""

    #: Level of the comb's lines (35 % quantile) over their neighbours' in dB; about 0 to 2 without a comb.
    level_db: float
    #: Samples between repetitions at `origin_rate_hz`, None where no comb stands out.
    period: int | None
    #: The rate that the period counts in: the recording's own, or that of what it was resampled from.
    origin_rate_hz: int
    #: The comb's lines in Hz, and each one's level over its neighbours in dB.
    lines_hz: tuple[float, ...]
    lines_db: tuple[float, ...]


def comb_residue(buffer: AudioBuffer) -> CombResidue:
    """The period whose lines stand out most, over the whole recording; any rate, one channel or more.

    Levels are those of the mean log spectrum, so that a line which follows the music's level counts in every
    frame and a loud note in few. Recordings under 10 s tell little: they have few frames.
    """
    rate = buffer.sample_rate
    length = fft_length(rate, _WINDOW_S)
    while length > 1024 and length > buffer.frames:
        length //= 2
    spectrum_db, frames = _mean_log_spectrum(buffer, length)
    prominence, hz_per_bin = _prominence(spectrum_db), bin_frequencies(rate, length)[1]
    combs = _combs(prominence, rate, hz_per_bin)
    if not combs or frames == 0:
        return CombResidue(0.0, None, rate, (), ())
    best = max(combs, key=lambda comb: comb.level_db)
    limit = max(FOUND_DB, _CHANCE_DB / math.sqrt(frames), _decoy_db(prominence, rate, hz_per_bin, best))
    if best.level_db < limit:
        return replace(best, period=None)
    same = [comb for comb in combs if comb.origin_rate_hz == best.origin_rate_hz]
    same = [comb for comb in same if comb.level_db >= best.level_db - _SAME_DB]
    longest = max(same, key=lambda comb: comb.period or 0)
    return replace(longest, level_db=best.level_db)


def _combs(prominence: Levels, rate: int, hz_per_bin: float) -> list[CombResidue]:
    """Every comb that has lines enough within the band."""
    combs = []
    for origin in dict.fromkeys((rate, *ORIGIN_RATES_HZ)):
        fewest = _FEWEST_LINES if origin == rate else _FEWEST_ELSEWHERE
        for period in PERIODS:
            lines = _lines_hz(origin, period, rate)
            if len(lines) < fewest:
                continue
            levels = _line_levels(prominence, lines, hz_per_bin)
            level_db = float(np.quantile(levels, _QUANTILE))
            combs.append(CombResidue(level_db, period, origin, tuple(lines.tolist()), tuple(levels.tolist())))
    return combs


def _decoy_db(prominence: Levels, rate: int, hz_per_bin: float, best: CombResidue) -> float:
    """The strongest comb at periods that no decoder can have: what this music shows by chance."""
    fewest = _FEWEST_LINES if best.origin_rate_hz == rate else _FEWEST_ELSEWHERE
    decoys = [-math.inf]
    for period in PERIODS:
        for share in _DECOYS:
            lines = _lines_hz(best.origin_rate_hz, period + share, rate)
            if len(lines) >= fewest:
                decoys.append(float(np.quantile(_line_levels(prominence, lines, hz_per_bin), _QUANTILE)))
    return max(decoys)


def _lines_hz(origin_rate_hz: int, period: float, rate: int) -> Levels:
    """The lines of a comb within the band that is looked at, below half of both rates."""
    top = min(_HIGHEST_HZ, 0.45 * rate, 0.499 * origin_rate_hz)
    lines = origin_rate_hz / period * np.arange(1, int(top * period / origin_rate_hz) + 1)
    return np.asarray(lines[lines >= _LOWEST_HZ])


def _line_levels(prominence: Levels, lines_hz: Levels, hz_per_bin: float) -> Levels:
    return np.asarray(prominence[np.rint(lines_hz / hz_per_bin).astype(int)])


def _mean_log_spectrum(buffer: AudioBuffer, length: int) -> tuple[Levels, int]:
    """Mean over frames and channels of the spectrum in dB, and the frames that were not silent."""
    total = np.zeros(length // 2 + 1)
    count = 0
    for power in frame_power(buffer, length, length // 2, batch=4):
        frames = power.reshape(-1, power.shape[-1])
        frames = frames[frames.max(axis=1) > 0.0]
        # 150 dB under the frame's loudest bin lies below float32's own noise.
        floor = frames.max(axis=1, keepdims=True) * np.float32(1e-15)
        total += 10.0 * np.log10(frames + floor).sum(0, dtype=np.float64)
        count += len(frames)
    return total / max(count, 1), count // buffer.channels


def _prominence(spectrum_db: Levels) -> Levels:
    """Level of every bin over the median of its neighbours on both sides."""
    padded = np.pad(spectrum_db, _FAR_BINS, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * _FAR_BINS + 1)
    offsets = np.arange(-_FAR_BINS, _FAR_BINS + 1)
    columns = np.flatnonzero(np.abs(offsets) >= _NEAR_BINS)
    out = np.empty_like(spectrum_db)
    for start in range(0, len(out), 4096):
        out[start : start + 4096] = spectrum_db[start : start + 4096] - np.median(
            around[start : start + 4096, columns], axis=1
        )
    return out

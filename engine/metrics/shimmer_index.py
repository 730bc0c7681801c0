"""shimmer_index: how unsteadily the steadiest partials of a recording flicker, between 4 and 12 kHz.

A definition of stemfix's own. Where a note or a cymbal is held, some of its strongest partials stand still
for a tenth of a second: in any music some do. A decoder that draws the spectrum anew in every frame lets none
stand still, and that is heard as a metallic shimmer. So the index looks at narrow peaks of the short-time
spectrum in frames of steady level, takes the standard deviation of each one's level over a tenth of a second,
and reports the low quantile: the flicker of those that flicker least. It needs no reference and no threshold
of level, since it compares a peak with itself. Noise between the partials, cymbals and consonants, which
flicker in every recording, do not enter as long as there is something steady.

Second, the share of bins that stick out of their neighbours in frequency and out of the same bin a moment
before and after: birdies, that stand for a frame or two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer
from engine.metrics.frames import bin_frequencies, fft_length, frame_power

Levels = npt.NDArray[np.float32]

BAND_HZ = (4000.0, 12000.0)
#: Over this many frames, a hop of 12 ms apart, levels must hold: 105 ms.
_FRAMES = 9
#: A partial, and no ripple of noise: a peak whose mean level is so far over the median of its neighbours.
_PROMINENCE_DB = 7.0
_NEIGHBOURS = 15
#: A frame is sustained where the band's level deviates by less than this over `_FRAMES`.
_STEADY_DB = 3.0
#: Frames so far under the band's mean are pauses.
_PAUSE_DB = 40.0
#: Bins so far under the band's mean bin count as silent.
_FLOOR_DB = 70.0
#: The share of partials that count as the steadiest.
_QUANTILE = 0.05
#: Fewer peaks than this tell nothing.
_FEWEST_PEAKS = 100
#: A birdie stands this far over its neighbours in frequency and in time. Noise has 0.85 % of such bins.
_BIRDIE_DB = 7.0
#: Histogram of the deviations, in place of all of them.
_STEP_DB, _TOP_DB = 0.01, 30.0


@dataclass(frozen=True)
class ShimmerIndex:
    """Flicker of a recording; None where it holds nothing to judge by."""

    #: Standard deviation in dB of the level of the steadiest partials. Recordings of music have 0.9 to 1.6
    #: (one of twenty 2.0), two of them out of six neural codecs 1.7 to 2.3. It compares one song best.
    flicker_db: float | None
    #: Bins that stick out of their neighbours in frequency and time, of all in sustained frames, in percent.
    birdies_percent: float | None
    #: Of the recording, what lies in sustained frames.
    sustained_percent: float


def shimmer_index(buffer: AudioBuffer) -> ShimmerIndex:
    """Flicker over the whole recording, all channels together; any rate above 10 kHz, any level."""
    rate = buffer.sample_rate
    length = fft_length(rate)
    frequencies = bin_frequencies(rate, length)
    band = np.flatnonzero((frequencies >= BAND_HZ[0]) & (frequencies < min(BAND_HZ[1], 0.45 * rate)))
    if len(band) < 2 * _NEIGHBOURS:
        return ShimmerIndex(None, None, 0.0)
    bins = slice(int(band[0]), int(band[-1]) + 1)
    mean = _mean_power(buffer, length, bins)
    if mean <= 0.0:
        return ShimmerIndex(None, None, 0.0)

    histogram = np.zeros(round(_TOP_DB / _STEP_DB) + 1, np.int64)
    birdies = sustained = frames = 0
    for power in _overlapping(buffer, length, bins):
        for channel in power:
            deviations, odd, held, total = _flicker(channel, mean)
            places = np.minimum(deviations / _STEP_DB, len(histogram) - 1).astype(np.int64)
            histogram += np.bincount(places, minlength=len(histogram))
            birdies, sustained, frames = birdies + odd, sustained + held, frames + total
    peaks = int(histogram.sum())
    flicker = None
    if peaks >= _FEWEST_PEAKS:
        flicker = float((np.searchsorted(np.cumsum(histogram), _QUANTILE * peaks) + 0.5) * _STEP_DB)
    share = 100.0 * birdies / (sustained * len(band)) if sustained else None
    return ShimmerIndex(flicker, share, 100.0 * sustained / max(frames, 1))


def _flicker(power: Levels, mean: float) -> tuple[Levels, int, int, int]:
    """Deviations of the peaks, birdies, sustained frames and all frames of one stretch of one channel.

    `power` has the shape (frames, bins); what is judged are its frames without half a window on both ends.
    """
    from scipy.ndimage import uniform_filter1d

    half = _FRAMES // 2
    inner = slice(half, len(power) - half)
    levels = 10.0 * np.log10(power + np.float32(mean * 10.0 ** (-_FLOOR_DB / 10.0)))

    band_level = 10.0 * np.log10(power.mean(1, dtype=np.float64) + 1e-30)
    windows = np.lib.stride_tricks.sliding_window_view(band_level, _FRAMES)
    quiet = 10.0 * np.log10(mean) - _PAUSE_DB
    held = (windows.std(axis=1) < _STEADY_DB) & (band_level[inner] > quiet)

    average = uniform_filter1d(levels, _FRAMES, axis=0)[inner][held]
    peak = np.zeros(average.shape, bool)
    peak[:, 1:-1] = (average[:, 1:-1] >= average[:, :-2]) & (average[:, 1:-1] > average[:, 2:])
    peak &= _over_median(average, _PROMINENCE_DB, _NEIGHBOURS, axis=1)
    frames, bins = np.nonzero(peak)
    # The middle of window j is frame j + half, whose window starts at frame j.
    starts = np.flatnonzero(held)[frames]
    partials = levels[starts[:, None] + np.arange(_FRAMES), bins[:, None]]

    odd = _over_median(levels, _BIRDIE_DB, _FRAMES, axis=0)[inner][held]
    odd &= _over_median(levels[inner][held], _BIRDIE_DB, _NEIGHBOURS, axis=1)
    return partials.std(axis=1), int(np.count_nonzero(odd)), int(np.count_nonzero(held)), len(held)


def _over_median(levels: Levels, by_db: float, size: int, axis: int) -> npt.NDArray[np.bool_]:
    """Where a value exceeds the median of the `size` (odd) values around it by `by_db`; not at the edges.

    Counting the values below is the same as sorting them, and much faster.
    """
    values = np.moveaxis(levels, axis, 0)
    half, count = size // 2, len(values)
    over = np.zeros(values.shape, bool)
    if count >= size:
        limit = values[half : count - half] - np.float32(by_db)
        below = np.zeros(limit.shape, np.int8)
        for offset in range(size):
            below += values[offset : offset + len(limit)] < limit
        over[half : count - half] = below > half
    return np.moveaxis(over, 0, axis)


def _mean_power(buffer: AudioBuffer, length: int, bins: slice) -> float:
    total, count = 0.0, 0
    for power in frame_power(buffer, length, length // 4):
        total += float(power[..., bins].sum(dtype=np.float64))
        count += power[..., bins].size
    return total / count


def _overlapping(buffer: AudioBuffer, length: int, bins: slice) -> Iterator[Levels]:
    """Stretches of shape (channels, frames, bins) that share `_FRAMES` - 1 frames with the one before."""
    rest: Levels | None = None
    for power in frame_power(buffer, length, length // 4):
        stretch = power[..., bins] if rest is None else np.concatenate([rest, power[..., bins]], axis=1)
        if stretch.shape[1] >= _FRAMES:
            yield stretch
        rest = stretch[:, -(_FRAMES - 1) :].copy()

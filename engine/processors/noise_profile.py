"""NoiseProfile: the spectrum of the stationary noise in a recording, and how far each bin can be trusted.

Noise is looked for in the pauses first. Where there are none it is taken from the low quantiles of every
bin. Either way a bin is trusted only if its levels are spread as stationary Gaussian noise spreads them: the
ratio between two quantiles of its smoothed power is then a known constant. Music, bleed from other stems, and
what a separation model leaves in pauses fail that test; so does a steady tone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import stft, window_length

Floats = npt.NDArray[np.float32]
Range = tuple[int, int]

#: Pauses in all that a profile needs, and the shortest pause, in seconds.
_MIN_PAUSES_S = 0.5
_MIN_PAUSE_S = 0.25
#: A pause stays this close to the recording's floor, and this far below its mean level.
_PAUSE_SPREAD_DB = 3.0
_PAUSE_BELOW_DB = 10.0
#: What is quieter than this against the mean level is silence, not noise.
_SILENCE_DB = -110.0
#: Noise below this against the mean level nobody hears.
_INAUDIBLE_DB = -80.0
#: Spectra kept for the quantiles: bounds memory for recordings of any length.
_MAX_SPECTRA = 4096
#: Deviation from the expected quantile ratio with full trust, and the further one that ends it.
_TOLERANCE_DB = 0.5
_SPAN_DB = 1.0
#: Below this the best bin is not worth a filter.
_MIN_TRUST = 0.05

#: Trust in fewer neighbouring bins than this (1 kHz) does not count.
_NARROWEST_BINS = 49
#: In a pause there is nothing but noise: this share of its power above the mains hum must be trusted,
#: or else the "pause" is a soft passage.
_MIN_PAUSE_SHARE = 0.9
_HUM_HZ = 300.0

_SMOOTH_BINS, _SMOOTH_FRAMES = 3, 5


@dataclass(frozen=True)
class NoiseProfile:
    """Stationary noise on the grid of `stft` with `length` and hop `length` / 4."""

    length: int
    #: Power per bin, summed over the channels, shape (bins,).
    power: Floats
    #: 0..1 per bin.
    trust: Floats
    #: The pauses it was measured in, as frame ranges; empty if from the floor of the whole recording.
    pauses: tuple[Range, ...]
    #: RMS of the trusted noise in dBFS, all channels together.
    level_db: float


def measure_noise(source: AudioBuffer) -> NoiseProfile | None:
    """The stationary noise in `source`, or None if there is none to be found."""
    length = window_length(source.sample_rate)
    if source.frames < 16 * length:
        return None
    levels, signal_power = _levels(source, length)
    if signal_power == 0.0:
        return None
    pauses = _find_pauses(levels, signal_power, length, source.sample_rate)
    profile = None
    if pauses:
        profile = _profile(source, pauses, length, (0.1, 0.5), tuple(pauses))
    if profile is None:
        sounding = _runs(levels > signal_power * 10 ** (_SILENCE_DB / 10), length, 2 * length)
        profile = _profile(source, sounding, length, (0.02, 0.1), ())
    if profile is None or profile.level_db < 10 * np.log10(signal_power) + _INAUDIBLE_DB:
        return None
    return profile


def _find_pauses(levels: Floats, signal_power: float, size: int, sample_rate: int) -> list[Range]:
    """Frame ranges where `levels` (power per `size` frames) stay near the lowest one that is not silence."""
    sounding = levels[levels > signal_power * 10 ** (_SILENCE_DB / 10)]
    if sounding.size == 0:
        return []
    floor = float(np.quantile(sounding, 0.02))
    limit = min(floor * 10 ** (_PAUSE_SPREAD_DB / 10), signal_power * 10 ** (-_PAUSE_BELOW_DB / 10))
    quiet = (levels <= limit) & (levels > signal_power * 10 ** (_SILENCE_DB / 10))
    pauses = _runs(quiet, size, int(_MIN_PAUSE_S * sample_rate))
    return pauses if sum(stop - start for start, stop in pauses) >= _MIN_PAUSES_S * sample_rate else []


def _levels(source: AudioBuffer, size: int) -> tuple[Floats, float]:
    """Mean power of every whole run of `size` frames over all channels, and the recording's mean power."""
    parts = []
    for _, block in source.blocks():
        whole = block[:, : block.shape[1] // size * size]
        parts.append(np.square(whole).reshape(block.shape[0], -1, size).mean(axis=(0, 2)))
    levels = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return levels, float(levels.mean(dtype=np.float64)) if levels.size else 0.0


def _runs(wanted: npt.NDArray[np.bool_], size: int, shortest: int) -> list[Range]:
    """Where `wanted` holds for at least `shortest` frames on end, as frame ranges."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], wanted, [False])).astype(np.int8))) * size
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= shortest]


def _profile(
    source: AudioBuffer,
    ranges: list[Range],
    length: int,
    quantiles: tuple[float, float],
    pauses: tuple[Range, ...],
) -> NoiseProfile | None:
    from scipy.ndimage import gaussian_filter1d, grey_opening, median_filter, percentile_filter

    smooth = _smoothed_power(source, ranges, length)
    if smooth is None:
        return None
    count = smooth.shape[1]
    low, high = (min(int(count * share), count - 1) for share in quantiles)
    # Each bin's spectra lie together, and the lower quantile is among what is below the higher one: a fourth
    # of the time.
    by_bin = np.ascontiguousarray(smooth.transpose(0, 2, 1))
    by_bin.partition(high, axis=2)
    by_bin[:, :, : high + 1].partition(low, axis=2)
    # (channels, 2, bins) in dB; the floor keeps digital zero finite and is far below any signal.
    found = 10 * np.log10(by_bin[:, :, [low, high]].transpose(0, 2, 1) + np.float32(1e-30))
    to_mean = np.array([_mean_over_quantile_db(share) for share in quantiles], np.float32)
    deviation = median_filter(found[:, 1] - found[:, 0], (1, 25)) - (to_mean[0] - to_mean[1])
    trust = np.clip(1 - (np.abs(deviation) - _TOLERANCE_DB) / _SPAN_DB, 0, 1)
    # Hiss is broad: what passes in a few neighbouring bins only is a held chord or a bass note.
    trust = gaussian_filter1d(grey_opening(trust, (1, _NARROWEST_BINS)), 6, axis=1)
    if pauses:
        level = found[:, 1] + to_mean[1]
    else:
        # Between partials only the lowest of neighbouring bins shows the noise.
        level = gaussian_filter1d(percentile_filter(found[:, 0] + to_mean[0], 20, (1, 25)), 4, axis=1)
    power = 10 ** (level / 10)
    total = power.sum(axis=0)
    linked = ((power * trust).sum(axis=0) / np.maximum(total, np.float32(1e-30))).astype(np.float32)
    above_hum = total.copy()
    above_hum[: int(_HUM_HZ * length / source.sample_rate) + 1] = 0.0
    if pauses and float((above_hum * linked).sum()) < _MIN_PAUSE_SHARE * float(above_hum.sum()):
        return None
    if float(linked.max()) < _MIN_TRUST or float((total * linked).sum()) < 1e-20:
        return None
    # Parseval for the root-Hann window (its squares sum to length / 2) and the one-sided spectrum.
    mean_square = 2 * float((total * linked).sum()) / (length * length / 2) / source.channels
    return NoiseProfile(length, total.astype(np.float32), linked, pauses, 10 * float(np.log10(mean_square)))


def _smoothed_power(source: AudioBuffer, ranges: list[Range], length: int) -> Floats | None:
    """Power smoothed over 3 bins and 5 frames, (channels, spectra, bins), of the ranges, thinned evenly."""
    from scipy.ndimage import uniform_filter1d

    hop = length // 4
    total = sum(max((b - a) // hop - 7, 0) for a, b in ranges)
    step = max(-(-total // _MAX_SPECTRA), 1)
    # Long recordings are thinned by short pieces, so that what is not kept is not transformed either.
    piece = (64 if step == 1 else 16) * length
    pieces = [(s, min(s + piece, b)) for a, b in ranges for s in range(a, b, piece)]
    kept = []
    for start, stop in pieces[::step]:
        spectrum = stft(source.read(start, stop), length, hop)
        if spectrum.shape[1] < _SMOOTH_FRAMES:
            continue
        squares = spectrum.view(np.float32)
        squares *= squares
        power = squares[:, :, ::2] + squares[:, :, 1::2]
        count = power.shape[1] - _SMOOTH_FRAMES + 1
        mean = sum(power[:, frame : frame + count] for frame in range(1, _SMOOTH_FRAMES)) + power[:, :count]
        kept.append(uniform_filter1d(mean / np.float32(_SMOOTH_FRAMES), _SMOOTH_BINS, axis=2))
    if not kept:
        return None
    return np.concatenate(kept, axis=1)


@lru_cache
def _mean_over_quantile_db(share: float) -> float:
    """Mean level of stationary Gaussian noise over this quantile of its smoothed power, in dB.

    Measured by the code it calibrates, on seeded white noise; it does not depend on the window's length.
    """
    noise: Audio = np.random.default_rng(0).standard_normal((1, 1 << 18)).astype(np.float32)
    smooth = _smoothed_power(AudioBuffer.of(noise, 8000), [(0, noise.shape[1])], 256)
    assert smooth is not None
    inner = smooth[0, :, 4:-4]
    return float(np.mean(10 * np.log10(inner.mean(axis=0) / np.quantile(inner, share, axis=0))))

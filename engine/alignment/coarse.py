"""Coarse lag: whole frames by which one recording is late, from its loudest excerpts.

Generalised cross-correlation with partial whitening (rho-PHAT, Knapp and Carter 1976; rho = 0.75): plain
correlation follows the loudest bass note and full whitening follows the noise of a low-passed stem.
"""

from __future__ import annotations

import numpy as np

from engine.alignment.spectra import Real
from engine.audio.buffer import AudioBuffer

_RHO = 0.75
_FFT_FRAMES = 1 << 15
_TIE = 0.95


def correlate(reference: AudioBuffer, other: AudioBuffer, span: tuple[int, int], max_lag: int) -> Real:
    """Partially whitened cross-correlation of an excerpt; (channels, 2 * max_lag + 1), lag 0 in the middle.

    Frames of the reference are taken with `max_lag` more frames of the other on both sides, so that every lag
    is measured over a whole frame and nothing wraps around.
    """
    from scipy.fft import irfft, rfft

    start, stop = span
    length = min(max(_FFT_FRAMES, 4 * max_lag), stop - start + 2 * max_lag)
    length = 1 << int(np.ceil(np.log2(length)))
    part = min(length - 2 * max_lag, stop - start)
    window = np.hanning(part + 2)[1:-1].astype(np.float32)
    taper = np.ones(part + 2 * max_lag, np.float32)
    if max_lag:
        ramp = np.hanning(2 * max_lag + 2)[1:-1].astype(np.float32)
        taper[:max_lag], taper[-max_lag:] = ramp[:max_lag], ramp[max_lag:]
    cross = np.zeros((reference.channels, length // 2 + 1), np.complex128)
    for begin in range(start, stop - part + 1, max(part // 2, 1)):
        x = reference.read(begin, begin + part) * window
        y = other.read(begin - max_lag, begin + part + max_lag) * taper
        cross += rfft(y, length, axis=-1) * np.conj(rfft(x, length, axis=-1))
    level = np.abs(cross).sum(0)
    smooth = max(length // 4096, 1)
    level = np.convolve(level, np.ones(smooth) / smooth, "same")
    whitening = (level + 1e-5 * level.max() + 1e-30) ** -_RHO
    # The reference's frame begins `max_lag` into the other's, so lag -max_lag is sample 0.
    return np.asarray(irfft(cross * whitening, length, axis=-1)[:, : 2 * max_lag + 1])


def peak_lag(correlation: Real) -> int:
    """The lag of the highest peak of either sign; channels may differ in polarity.

    A held note repeats itself, so peaks a period apart are nearly equal in height and their order is noise:
    of those within `_TIE` of the highest the one nearest to lag 0 is meant.
    """
    strength: Real = np.abs(correlation).sum(0)
    middle = len(strength) // 2
    inner = strength[1:-1]
    peaks = 1 + np.flatnonzero((inner >= strength[:-2]) & (inner >= strength[2:]))
    peaks = np.append(peaks, np.argmax(strength))
    tied = peaks[strength[peaks] >= _TIE * strength.max()]
    return int(tied[np.argmin(np.abs(tied - middle))]) - middle

"""Dynamics: what compressors and expanders share: a level over time, a bend and ballistics.

Detection, soft knee and decoupled ballistics in the log domain follow Giannoulis, Massberg, Reiss, "Digital
Dynamic Range Compressor Design: A Tutorial and Analysis", J. AES 60(6), 2012. The level is an RMS over a
window centred on the present, so the detector adds no delay of its own to the attack.
"""

from __future__ import annotations

import numpy as np

from engine.processors.gain_curve import FADED, decay, hops, one_pole
from engine.processors.level import TINY, Curve

#: Length of the window in which the level is measured; long enough for one period of a bass at 50 Hz.
WINDOW_MS = 20.0


def reach(attack_ms: float, release_ms: float, hops_per_second: float) -> float:
    """Hops after which a value of the level no longer matters to the gain."""
    return hops(WINDOW_MS + FADED * (attack_ms + release_ms), hops_per_second)


def level_db(power: Curve, hops_per_second: float) -> Curve:
    """RMS level over `WINDOW_MS` from the power per hop."""
    from scipy.ndimage import uniform_filter1d

    window = round(hops(WINDOW_MS, hops_per_second)) | 1
    level = np.maximum(uniform_filter1d(power, window, mode="constant"), np.float32(TINY))
    return np.asarray(10 * np.log10(level), np.float32)


def above_knee(over_db: Curve, knee_db: float) -> Curve:
    """How far a level is above the threshold, bent over `knee_db` around it (equation 4 of the paper)."""
    half = np.float32(max(knee_db, 1e-3) / 2)
    bend = (over_db + half).clip(0, 2 * half)
    return np.asarray(bend**2 / (4 * half) + np.maximum(over_db - half, 0), np.float32)


def ballistics(change_db: Curve, attack_ms: float, release_ms: float, hops_per_second: float) -> Curve:
    """A change of gain (>= 0) that sets in with `attack_ms` and fades with `release_ms`."""
    held = decay(change_db, hops(release_ms, hops_per_second))
    return one_pole(held, hops(attack_ms, hops_per_second))

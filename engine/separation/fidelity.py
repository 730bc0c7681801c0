"""Fidelity: how near one way of computing a network comes to another, on a bar of music made up here."""

from __future__ import annotations

import math

import numpy as np

from engine.audio.buffer import Audio
from engine.separation.separator import Precision

#: The SNR in dB, against PyTorch in 32 bits, that each precision promises.
PROMISED_SNR_DB: dict[Precision, float] = {"full": 80.0, "reduced": 35.0}

_BEAT_S = 0.5
_ROOTS_HZ = (55.0, 43.65, 65.41, 49.0)


def snr_db(reference: Audio, other: Audio) -> float:
    """The energy of `reference` over that of its difference to `other`, in dB, over all stems together."""
    exact = reference.astype(np.float64)
    error = float(np.square(exact - other).sum())
    signal = float(np.square(exact).sum())
    if error == 0:
        return math.inf
    return 10 * math.log10(signal / error) if signal > 0 else -math.inf


def bar_of_music(channels: int, frames: int, sample_rate: int) -> Audio:
    """Drums, a bass, chords and a voice-like tone, shape (channels, frames), with the level models want."""
    time = np.arange(frames) / sample_rate
    noise = np.random.default_rng(0).standard_normal((channels, frames))
    beat = time % _BEAT_S
    kick = np.sin(2 * np.pi * 55 * beat) * np.exp(-12 * beat)
    hat = noise * np.exp(-60 * (time % (_BEAT_S / 2)))
    snare = noise * np.exp(-18 * ((time + _BEAT_S) % (2 * _BEAT_S)))
    root = np.take(_ROOTS_HZ, (time / (4 * _BEAT_S)).astype(int) % len(_ROOTS_HZ))
    phase = 2 * np.pi * np.cumsum(root) / sample_rate
    bass = sum(np.sin(k * phase) / k for k in range(1, 6)) * np.exp(-3 * beat)
    chord = sum(np.sin(ratio * k * phase) / k for ratio in (4, 5, 6) for k in range(1, 8))
    sung = 8 * phase + 0.3 * np.sin(2 * np.pi * 5.5 * time)
    voice = sum(np.sin(k * sung) / (1 + (k - 4) ** 2) for k in range(1, 16)) * (np.sin(np.pi * time) > -0.3)
    pan = np.linspace(0.8, 1.2, channels)[:, None]
    mix = kick + 0.15 * hat + 0.4 * snare + 0.5 * bass + 0.12 * chord * pan + 0.6 * voice * pan[::-1]
    mix /= mix.mean(axis=0).std() + 1e-8
    music: Audio = mix.astype(np.float32)
    return music

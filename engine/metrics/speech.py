"""speech_quality: PESQ and STOI, for speech alone (the extra `metrics`).

PESQ: ITU-T P.862.2 (wide band), by `pesq`. STOI: Taal et al., "An algorithm for intelligibility prediction of
time-frequency weighted noisy speech", 2011, by `pystoi`. Both are models of telephone speech and mean nothing
for singing: a clean synthetic voice that sang, at 12 dB SNR, got PESQ 1.02 and STOI 0.40.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import OptionError
from engine.metrics.frames import require_pair

#: The rate of wide-band PESQ.
_RATE = 16000
#: PESQ was made for sentences, and both hold what they judge in memory.
_EXCERPT_S = 20
_FEWEST_S = 2.0


@dataclass(frozen=True)
class SpeechQuality:
    """Means over excerpts of 20 s that hold speech; None where there is none."""

    #: 1.04 (bad) to 4.64.
    pesq: float | None
    #: 0 to 1.
    stoi: float | None


def has_speech_measures() -> bool:
    """True if pesq and pystoi are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("pesq", "pystoi"))


def speech_quality(reference: AudioBuffer, estimate: AudioBuffer) -> SpeechQuality:
    """Judge the mono sum of `estimate` against that of `reference`.

    Raises:
        OptionError: rates, channels or lengths differ, or the packages are not installed.
    """
    require_pair(reference, estimate)
    if not has_speech_measures():
        raise OptionError(
            "PESQ and STOI need the packages pesq and pystoi, which are not installed.",
            "Install them with: pip install 'stemfix[metrics]'",
        )
    from pesq import PesqError, pesq
    from pystoi import stoi

    step = _EXCERPT_S * reference.sample_rate
    pesq_values, stoi_values = [], []
    for start in range(0, reference.frames, step):
        truth, guess = (_speech(buffer, start, start + step) for buffer in (reference, estimate))
        if len(truth) < _FEWEST_S * _RATE or not truth.any() or not guess.any():
            continue
        stoi_values.append(float(stoi(truth, guess, _RATE)))
        score = pesq(_RATE, truth, guess, "wb", on_error=PesqError.RETURN_VALUES)
        # -1 stands for an excerpt without an utterance.
        if score >= 0.0:
            pesq_values.append(float(score))
    return SpeechQuality(_mean(pesq_values), _mean(stoi_values))


def _speech(buffer: AudioBuffer, start: int, stop: int) -> Audio:
    import soxr

    mono = buffer.read(start, min(stop, buffer.frames)).mean(axis=0)
    return np.asarray(soxr.resample(mono, buffer.sample_rate, _RATE), np.float32)


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None

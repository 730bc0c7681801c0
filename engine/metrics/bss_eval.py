"""bss_eval: SDR, ISR, SIR and SAR of a separated stem, by museval (the extra `metrics`).

Vincent et al., "First stereo audio source separation evaluation campaign", 2007, version 4 as in Stöter,
Liutkus and Ito, "The 2018 signal separation evaluation campaign", 2018: windows of 1 s, median over the
windows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.errors import OptionError
from engine.metrics.frames import require_pair

#: museval holds a whole recording in memory; it is given this much at a time, with filters for each.
_EXCERPT_S = 60
_FEWEST_S = 1.0


@dataclass(frozen=True)
class BssEval:
    """Medians over windows of 1 s, in dB; None where no window could be judged."""

    sdr_db: float | None
    #: Image to spatial distortion.
    isr_db: float | None
    #: Interference from the other sources; None if none were given.
    sir_db: float | None
    sar_db: float | None


def has_museval() -> bool:
    """True if museval is installed."""
    return importlib.util.find_spec("museval") is not None


def bss_eval(
    reference: AudioBuffer, estimate: AudioBuffer, interferers: Sequence[AudioBuffer] = ()
) -> BssEval | None:
    """Judge `estimate` as a separation of `reference` from a mix with `interferers`, the other true sources.

    None for less than a second. It takes about 0.5 s per 10 s of stereo and source.

    Raises:
        OptionError: rates, channels or lengths differ, or museval is not installed.
    """
    for buffer in (estimate, *interferers):
        require_pair(reference, buffer)
    if not has_museval():
        raise OptionError(
            "SDR, SIR and SAR need museval, which is not installed.",
            "Install it with: pip install 'stemfix[metrics]'",
        )
    from museval.metrics import bss_eval as evaluate

    rate = reference.sample_rate
    sources = (reference, *interferers)
    rows: list[np.ndarray] = []
    for start in range(0, reference.frames, _EXCERPT_S * rate):
        stop = min(start + _EXCERPT_S * rate, reference.frames)
        if stop - start < _FEWEST_S * rate:
            continue
        truth = np.stack([source.read(start, stop).T for source in sources]).astype(np.float64)
        guess = truth.copy()
        guess[0] = estimate.read(start, stop).T
        # A source that is silent all along has no direction to project on.
        heard = np.abs(truth).max(axis=(1, 2)) > 0.0
        if not heard[0]:
            continue
        with np.errstate(all="ignore"):
            found = evaluate(truth[heard], guess[heard], window=rate, hop=rate, compute_permutation=False)
        rows.append(np.stack([measure[0] for measure in found[:4]]))
    if not rows:
        return None
    sdr, isr, sir, sar = (_median(row) for row in np.concatenate(rows, axis=1))
    return BssEval(sdr, isr, sir if interferers else None, sar)


def _median(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None

"""Crossover: splits sound into bands without delay, whose sum is the sound again.

Every band is the difference of two neighbouring low-passes, and the top one is what the last low-pass leaves:
whatever the filters do, the bands add up to the input, to the rounding of float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.level import Curve

#: Half the length of a low-pass, in periods of its edge; the transition is then about an octave wide.
_FILTER_PERIODS = 1.5
#: An edge above this share of the sample rate splits nothing off.
HIGHEST = 0.45


def reach(edge_hz: float, sample_rate: int) -> int:
    """Frames on either side that a split at `edge_hz` looks at."""
    return math.ceil(_FILTER_PERIODS / edge_hz * sample_rate)


@lru_cache(maxsize=64)
def _low_pass(edge_hz: float, sample_rate: int) -> Curve:
    from scipy.signal import firwin

    taps = np.asarray(firwin(2 * reach(edge_hz, sample_rate) + 1, edge_hz, fs=sample_rate), np.float32)
    taps.flags.writeable = False
    return taps


def below(block: Audio, edge_hz: float, sample_rate: int) -> Audio:
    """What of `block` is below `edge_hz` (-6 dB there), in phase with it and of its shape; linear phase."""
    from scipy.signal import oaconvolve

    if edge_hz >= HIGHEST * sample_rate:
        return block
    taps = _low_pass(edge_hz, sample_rate)
    skip = len(taps) // 2
    # Not "same": that takes the shape of the longer one, which may be the filter.
    filtered = oaconvolve(block, taps[None], "full", axes=1)[:, skip : skip + block.shape[1]]
    return np.asarray(filtered, np.float32)


def split(block: Audio, edges_hz: Sequence[float], sample_rate: int) -> list[Audio]:
    """The bands between the rising `edges_hz`, lowest first; one more than edges, and they sum to `block`."""
    lows = [below(block, edge, sample_rate) for edge in edges_hz]
    return [upper - lower for lower, upper in zip([0 * block[:, :1], *lows], [*lows, block], strict=True)]


def split_blocks(
    source: AudioBuffer, edges_hz: Sequence[float], block_frames: int
) -> Iterator[tuple[int, list[Audio]]]:
    """(start, bands) over a whole recording in blocks, as if it had been split at once."""
    context = max((reach(edge, source.sample_rate) for edge in edges_hz), default=0)
    for start in range(0, source.frames, block_frames):
        stop = min(start + block_frames, source.frames)
        bands = split(source.read(start - context, stop + context), edges_hz, source.sample_rate)
        yield start, [band[:, context : context + stop - start] for band in bands]

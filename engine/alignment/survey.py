"""survey: what one pass over two recordings tells before anything is estimated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.alignment.spectra import Real
from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer

#: Frames per energy reading; a divisor of the block size, so that readings don't straddle blocks.
_UNIT_FRAMES = 1 << 12
#: Stretches of the recording that are looked at one by one.
SEGMENTS = 8
#: Excerpts longer than this would smear the peak when one clock runs 100 ppm fast.
_EXCERPT_S = 4.0
#: Recordings shorter than this are one segment: half a second each is the least that carries a delay.
SEGMENTED_MIN_S = 4.0
#: Excerpts 40 dB under the loudest say nothing.
_QUIET_SHARE = 1e-4
#: Below this RMS (-120 dBFS) a recording is silent.
_SILENT_RMS = 1e-6


@dataclass(frozen=True)
class Survey:
    """Identity, silence, and where to look first."""

    identical: bool
    reference_silent: bool
    other_silent: bool
    #: [start, stop) frames of the loudest excerpt of each segment that is not quiet.
    excerpts: list[tuple[int, int]]


def survey(reference: AudioBuffer, other: AudioBuffer) -> Survey:
    """Compare the samples, find silence and choose the excerpts; one pass in blocks at most."""
    if reference.path is not None and reference.path == other.path:
        nothing = _is_silent(reference)
        return Survey(True, nothing, nothing, [])
    identical = reference.shape == other.shape
    frames = max(reference.frames, other.frames)
    energies = np.zeros((2, -(-frames // _UNIT_FRAMES)))
    for start in range(0, frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, frames)
        blocks = reference.read(start, stop), other.read(start, stop)
        identical = identical and np.array_equal(*blocks)
        for row, block in zip(energies, blocks, strict=True):
            first = start // _UNIT_FRAMES
            for index, energy in enumerate(_unit_energies(block)):
                row[first + index] = energy
    counts = [max(buffer.channels * buffer.frames, 1) for buffer in (reference, other)]
    silent = [float(row.sum()) / n < _SILENT_RMS**2 for row, n in zip(energies, counts, strict=True)]
    if any(silent):
        return Survey(identical, silent[0], silent[1], [])
    overlap = min(reference.frames, other.frames)
    # The geometric mean: an excerpt must be loud in both, or a gate's silence would be chosen.
    loudness = np.sqrt(energies[0] * energies[1])
    return Survey(identical, silent[0], silent[1], _excerpts(loudness, overlap, reference.sample_rate))


def _is_silent(buffer: AudioBuffer) -> bool:
    """Whether the whole recording is; looks no further than it must."""
    left = _SILENT_RMS**2 * max(buffer.channels * buffer.frames, 1)
    for _, block in buffer.blocks():
        left -= sum(_unit_energies(block))
        if left <= 0:
            return False
    return True


def _unit_energies(block: Audio) -> Iterator[float]:
    for start in range(0, block.shape[1], _UNIT_FRAMES):
        piece = block[:, start : start + _UNIT_FRAMES].ravel()
        yield float(np.dot(piece, piece))


def _excerpts(loudness: Real, frames: int, sample_rate: int) -> list[tuple[int, int]]:
    count = SEGMENTS if frames >= SEGMENTED_MIN_S * sample_rate else 1
    units = max(frames // _UNIT_FRAMES, 1)
    found: list[tuple[float, int, int]] = []
    for index in range(count):
        low, high = units * index // count, max(units * (index + 1) // count, 1)
        size = min(max(int(_EXCERPT_S * sample_rate) // _UNIT_FRAMES, 1), high - low)
        sums = np.convolve(loudness[low:high], np.ones(size), "valid")
        first = low + int(np.argmax(sums))
        found.append((float(sums.max()) / size, first * _UNIT_FRAMES, (first + size) * _UNIT_FRAMES))
    loud = _QUIET_SHARE * max(energy for energy, _, _ in found)
    return [(start, min(stop, frames)) for energy, start, stop in found if energy >= loud]

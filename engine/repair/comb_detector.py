"""Comb detector: finds lines at all multiples of one frequency that stand through a whole recording.

A neural decoder with strided (transposed) convolutions treats every P-th sample alike, which leaves lines at
all multiples of its rate over P (D. Afchar, G. Meseguer-Brocal, K. Akesbi and R. Hennequin, "A Fourier
explanation of AI-music artifacts", ISMIR 2025). Music has no line that stands still for minutes to a
fraction of a hertz at most of these multiples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer

Doubles = npt.NDArray[np.float64]

#: Periods in frames at the recording's own rate: divisors of this, which holds the strides of known decoders.
NATIVE = 46_080
_SHORTEST, _LONGEST = 4, 1024
#: Rates and periods of decoders whose sound was resampled, and the seconds in which their lines come round.
_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_PERIODS = (4, 5, 8, 10, 16, 20, 32, 40, 64, 80, 128, 160, 256, 320, 512, 640)
FOREIGN_S = 8
#: A comb's lines: the median's height over what is next to them, and how many of them are so high, in dB.
_MEDIAN_DB, _LINE_DB, _SHARE, _FEWEST = 12.0, 9.0, 0.6, 3
#: So many lines of a comb are followed through frames of this length. 1 is one phase in all frames; sequenced
#: drums come to 0.34, a comb 46 to 52 dB below the music to 0.5 and more; by chance, 1 over the frames' root.
_FOLLOWED, _FRAME_S, _LOCKED, _CHANCE = 16, 0.023, 0.42, 4.0
#: Lines are compared with bins that lie so many resolutions of the recording away.
_NEAR, _FAR = 3, 18
#: Lines are sought from here up to this share of the rate.
_LOWEST_HZ, _HIGHEST = 100.0, 0.49


@dataclass(frozen=True)
class Comb:
    """Lines at the multiples of `spacing_hz`."""

    spacing_hz: float
    #: The period in frames, if it is a whole number of them.
    period: int | None
    #: Lines that stand out, in Hz, and the median of all lines' heights in dB.
    lines_hz: tuple[float, ...]
    median_db: float


def find_comb(source: AudioBuffer) -> Comb | None:
    """The comb in `source`, or None. One pass, bounded memory."""
    rate = source.sample_rate
    if source.frames < rate:
        return None
    foreign = FOREIGN_S * rate
    sums = {size: np.zeros((source.channels, size)) for size in (NATIVE, foreign)}
    for start, block in source.blocks():
        place = np.arange(start, start + block.shape[1])
        # The window keeps loud notes from leaking into the lines' places.
        weighted = block * (0.5 - 0.5 * np.cos(2 * np.pi * (place + 0.5) / source.frames))
        for total in sums.values():
            fold(weighted, start, total)
    combs: list[Comb] = []
    for size, total in sums.items():
        power = (np.abs(np.fft.rfft(total, axis=1)) ** 2).sum(axis=0)
        step = rate / size
        height, usable = _heights(power, max(1 / step, 1.0) * rate / source.frames)
        for spacing, period in _native(rate) if size == NATIVE else _foreign(rate):
            comb = _judge(height, usable, spacing, period, step, rate)
            if comb is not None:
                combs.append(comb)
    if not combs:
        return None
    best: Comb | None = None
    for comb in sorted(combs, key=lambda comb: len(comb.lines_hz)):
        # A finer comb must show lines that are not those of the coarser one.
        known = () if best is None else best.lines_hz
        own = [line for line in comb.lines_hz if line not in known]
        if own and all(_locked(source, lines) >= _LOCKED for lines in (own, list(comb.lines_hz))):
            best = comb
    return best


def _locked(source: AudioBuffer, lines_hz: list[float]) -> float:
    """How well lines keep their phases through all frames alike, loud or soft: 0 to 1, the median over lines.

    Drums that are placed on a grid of P frames, as sequencers do, make lines too, but only where they begin.
    """
    rate = source.sample_rate
    lines = np.array(lines_hz[:: -(-len(lines_hz) // _FOLLOWED)])
    size = max(int(_FRAME_S * rate), 64)
    turn = -2j * np.pi * lines / rate
    kernel = (np.hanning(size)[:, None] * np.exp(turn * np.arange(size)[:, None])).astype(np.complex64)
    total = np.zeros((source.channels, lines.size), np.complex128)
    frames = 0
    for start, block in source.blocks(size * max((1 << 18) // size, 1)):
        count = block.shape[1] // size
        parts = block[:, : count * size].reshape(source.channels, count, size) @ kernel
        parts = parts * np.exp(turn * (start + size * np.arange(count)[:, None]))
        total += (parts / np.maximum(np.abs(parts), 1e-30)).sum(axis=1)
        frames += count
    share = float(np.median(np.abs(total).max(axis=0))) / max(frames, 1)
    return share if share >= _CHANCE / np.sqrt(max(frames, 1)) else 0.0


def fold(block: npt.NDArray[np.floating], start: int, total: Doubles) -> None:
    """Add every frame n of `block`, which begins at frame `start`, to `total[:, n modulo its length]`."""
    size = total.shape[1]
    ahead = start % size
    padded = np.pad(block, ((0, 0), (ahead, -(ahead + block.shape[1]) % size)))
    total += padded.reshape(block.shape[0], -1, size).sum(axis=1)


def _native(rate: int) -> list[tuple[float, int | None]]:
    return [(rate / p, p) for p in range(_SHORTEST, _LONGEST + 1) if NATIVE % p == 0]


def _foreign(rate: int) -> list[tuple[float, int | None]]:
    spacings = {other / p for other in _RATES if other != rate for p in _PERIODS}
    return [(s, None) for s in sorted(spacings) if (s * FOREIGN_S).is_integer() and rate / s % 1]


def _heights(power: Doubles, resolution: float) -> tuple[Doubles, int]:
    """Height of each bin over the median of those around it, in dB, and the distance these begin at."""
    near, far = max(round(_NEAR * resolution), 2), max(round(_FAR * resolution), 16)
    offsets = np.concatenate([np.arange(-far, -near + 1, max((far - near) // 16, 1))])
    offsets = np.concatenate([offsets, -offsets])
    padded = np.pad(power, far, mode="reflect")
    around = np.median(np.stack([padded[far + o : far + o + power.size] for o in offsets]), axis=0)
    return 10 * np.log10((power + 1e-30) / (around + 1e-30)), near


def _judge(
    height: Doubles, usable: int, spacing: float, period: int | None, step: float, rate: int
) -> Comb | None:
    lines = np.arange(1, int(_HIGHEST * rate / spacing) + 1) * spacing
    lines = lines[lines >= _LOWEST_HZ]
    if lines.size < _FEWEST or spacing < 2 * usable * step:
        return None
    levels = height[np.round(lines / step).astype(int)]
    median = float(np.median(levels))
    high = levels >= _LINE_DB
    if median < _MEDIAN_DB or high.sum() < max(_FEWEST, _SHARE * lines.size):
        return None
    return Comb(spacing, period, tuple(lines[high].tolist()), median)

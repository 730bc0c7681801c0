"""Dehum: takes away the hum of the mains, tones at 50 or 60 Hz and their multiples that never change.

Each line is brought down to 0 Hz and followed as one complex number four times a second. Hum is what stays
where it is: its phase runs on through every note, its level does not follow the music, and its harmonics keep
to one fundamental. The mains wander by some hundredths of a hertz; that is followed from all lines together.
What is subtracted is the median of each line over ten seconds, so that a bass note on the same frequency
passes: it is gone again before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.repair import Place, Repair

Complexes = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]

_MAINS_HZ = (50.0, 60.0)
#: The mains are within this of their frequency, apart from tape.
_TOLERANCE_HZ = 0.25
_LINES, _HIGHEST_HZ = 24, 1500.0
_WINDOW_S, _HOP_S = 1.0, 0.25
#: Hops that the median is taken over: ten seconds.
_MEDIAN_HOPS = 41
_SHORTEST_S = 6.0
#: Share of one phase that a line must keep, how far its quiet moments may lie below its usual ones, and how
#: far it must stand over its neighbours, which are this many hertz away.
_LEAST_COHERENCE, _STEADY_DB, _OVER_DB = 0.7, 12.0, 8.0
#: Power over the neighbours' from which a line has a say in where the fundamental is.
_LEAST_SNR = 4.0
_NEIGHBOURS_HZ = (3, 4, 5, 6)
#: Fewer lines than this, of the lowest ones, are a tone of the music.
_LEAST_LINES, _LOWEST = 2, 6


@dataclass
class _Found:
    """Lines as multiples of `fundamental_hz`, and what each is at each hop, shape (lines, channels, hops)."""

    fundamental_hz: float
    multiples: npt.NDArray[np.int64]
    #: Phase of the fundamental at each hop over that of `fundamental_hz`.
    drift: Floats
    tracks: Complexes
    hop: int
    below_music_db: float
    frames: int
    sample_rate: int


class Dehum(Repair):
    """Steady tones at multiples of 50 or 60 Hz are subtracted; music on the same frequencies stays."""

    effect: ClassVar[str] = "dehum"
    artifact: ClassVar[str] = "hum"
    linear: ClassVar[bool] = False

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Follow the lines of both mains; None where neither has two steady ones."""
        if source.frames < _SHORTEST_S * source.sample_rate:
            return None
        candidates = [_follow(source, mains) for mains in _MAINS_HZ]
        found = [candidate for candidate in candidates if candidate is not None]
        return max(found, key=lambda one: float(np.square(np.abs(one.tracks)).sum()), default=None)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """The block without the lines, as they run on between the hops."""
        low, high = max(start, 0), min(start + block.shape[1], found.frames)
        if high <= low:
            return block
        time = np.arange(low, high)
        # A hop's window is centred on its frame.
        position = np.clip(time / found.hop, 0, found.tracks.shape[2] - 1)
        hops = np.arange(found.tracks.shape[2])
        phase = 2 * np.pi * ((found.fundamental_hz / sample_rate * time) % 1.0)
        turn = np.exp(1j * (phase + np.interp(position, hops, found.drift)))
        hum = np.zeros((block.shape[0], high - low))
        power, reached = np.ones_like(turn), 0
        for multiple, line in zip(found.multiples, found.tracks, strict=True):
            while reached < multiple:
                power, reached = power * turn, reached + 1
            for channel, track in enumerate(line):
                real, imag = (np.interp(position, hops, part) for part in (track.real, track.imag))
                hum[channel] += real * power.real - imag * power.imag
        result = block.copy()
        result[:, low - start : high - start] -= hum.astype(np.float32)
        repaired: Audio = result
        return repaired

    def describe(self, found: _Found) -> dict[str, Any]:
        """The fundamental and the lines."""
        hz = found.fundamental_hz * found.multiples
        shown = ", ".join(f"{one:.0f}" for one in hz)
        end_s = found.frames / found.sample_rate
        return self.damage_report(
            f"mains hum at {shown} Hz, {-found.below_music_db:.0f} dB below the music",
            "subtracted",
            [
                Place(start_s=0.0, end_s=end_s, low_hz=max(float(one) - 1, 0.0), high_hz=float(one) + 1)
                for one in hz
            ],
            fundamental_hz=found.fundamental_hz,
            lines=float(len(hz)),
            below_music_db=found.below_music_db,
        )


def _follow(source: AudioBuffer, mains_hz: float) -> _Found | None:
    """The steady lines of one mains frequency, or None."""
    rate = source.sample_rate
    highest = min(_HIGHEST_HZ, 0.45 * rate)
    multiples = np.arange(1, min(_LINES, int(highest / mains_hz)) + 1)
    lines, neighbours, power = _lines(source, (mains_hz * multiples).astype(np.float64))
    if power <= 0.0:
        return None
    rotation = _rotation(lines, neighbours, multiples)
    if np.abs(rotation).max(initial=0.0) > 2 * np.pi * _TOLERANCE_HZ * _HOP_S:
        return None
    drift = np.concatenate(([0.0], np.cumsum(rotation)))
    still = lines * np.exp(-1j * multiples[:, None, None] * drift)
    # These windows hang over the ends.
    still[..., :2], still[..., -2:] = still[..., 2:3], still[..., -3:-2]
    steady = np.array([_is_steady(line, near) for line, near in zip(still, neighbours, strict=True)])
    if steady[:_LOWEST].sum() < _LEAST_LINES:
        return None
    tracks = _median(still[steady])
    hum = float(np.square(np.abs(tracks)).sum(axis=0).mean()) / 2
    return _Found(
        fundamental_hz=mains_hz,
        multiples=multiples[steady],
        drift=drift,
        tracks=tracks,
        hop=round(_HOP_S * rate),
        below_music_db=10 * float(np.log10(hum / power + 1e-30)),
        frames=source.frames,
        sample_rate=rate,
    )


def _lines(source: AudioBuffer, hz: Floats) -> tuple[Complexes, Floats, float]:
    """Amplitude of each line per channel and hop, its neighbours' amplitude, and the mean power."""
    from scipy.fft import rfft

    rate = source.sample_rate
    half, hop = round(_WINDOW_S * rate) // 2, round(_HOP_S * rate)
    window = np.hanning(2 * half + 1)[:-1].astype(np.float32)
    window *= 2 / float(window.sum())
    time = np.arange(-half, half)
    down = np.exp(-2j * np.pi * np.outer(time / rate, hz)).astype(np.complex64) * window[:, None]
    bins = np.round(hz * 2 * half / rate).astype(int)
    beside = np.array([sign * offset for offset in _NEIGHBOURS_HZ for sign in (-1, 1)])
    near = np.clip(bins[:, None] + beside, 0, half)
    lines, neighbours, energy = [], [], 0.0
    for centre in range(0, source.frames, hop):
        frame = source.read(centre - half, centre + half)
        # The phase of each line counts from the beginning of the recording.
        lines.append((frame @ down) * np.exp(-2j * np.pi * ((hz * (centre / rate)) % 1.0)))
        spectrum = np.abs(rfft(frame * window, axis=-1))
        # Of eight the second strongest: a loop in strict tempo has lines there, and at the mains, too.
        neighbours.append(np.partition(spectrum[:, near], -2, axis=2)[:, :, -2])
        energy += float(np.square(frame).mean(dtype=np.float64))
    shape = (2, 1, 0)
    return (
        np.array(lines, np.complex128).transpose(shape),
        np.array(neighbours, np.float64).transpose(shape),
        energy / max(len(lines), 1),
    )


def _rotation(lines: Complexes, neighbours: Floats, multiples: npt.NDArray[np.int64]) -> Floats:
    """By how much the fundamental turns from hop to hop, in radians, agreed on by the lines that stand out.

    The phase of line k varies by 1 / SNR, and what it says of the fundamental by 1 / (k^2 SNR).
    """
    from scipy.ndimage import median_filter

    snr = np.square(np.abs(lines) / np.maximum(neighbours, 1e-30)).max(axis=1)
    usual = np.median(snr, axis=1, keepdims=True)
    # A line that jumps up holds a note: it counts no more than it usually does.
    snr = np.where(usual > _LEAST_SNR, np.minimum(snr, usual), 0.0)
    turned = (lines[..., 1:] * np.conj(lines[..., :-1])).sum(axis=1)
    weight = np.minimum(snr[:, 1:], snr[:, :-1]) * multiples[:, None] ** 2
    votes = (weight * np.angle(turned) / multiples[:, None]).sum(axis=0)
    rotation = votes / np.maximum(weight.sum(axis=0), 1e-30)
    rotation[:2], rotation[-2:] = rotation[2], rotation[-3]  # windows that hang over the ends
    smooth: Floats = median_filter(rotation, min(_MEDIAN_HOPS, len(rotation)), mode="reflect")
    return smooth


def _is_steady(line: Complexes, neighbours: Floats) -> bool:
    """Whether a line, shape (channels, hops), keeps its phase and its level in its loudest channel."""
    levels = np.abs(line)
    channel = int(np.median(levels, axis=1).argmax())
    level = levels[channel]
    if np.median(level) <= 0.0:
        return False
    inner = slice(2, -2)  # the first and last windows hang over the ends
    phasors = line[channel, inner] / np.maximum(level[inner], 1e-30)
    low, middle = np.quantile(level[inner], [0.1, 0.5])
    quiet = neighbours[channel, inner] <= np.median(neighbours[channel, inner])
    over = np.median(level[inner][quiet]) / max(float(np.median(neighbours[channel, inner][quiet])), 1e-30)
    return bool(
        abs(phasors.mean()) > _LEAST_COHERENCE
        and 20 * np.log10(middle / max(low, 1e-30)) < _STEADY_DB
        and 20 * np.log10(over) > _OVER_DB
    )


def _median(tracks: Complexes) -> Complexes:
    """Median over time of real and imaginary part, shape as given."""
    from scipy.ndimage import median_filter

    size = (1, 1, min(_MEDIAN_HOPS, tracks.shape[2]))
    smooth: Complexes = median_filter(tracks.real, size, mode="reflect") + 1j * median_filter(
        tracks.imag, size, mode="reflect"
    )
    return smooth

"""Derumble: takes away a constant offset, and rumble below 20 Hz where it has nothing to do with the music.

Turntables, wind, footsteps and converters leave energy that no loudspeaker plays and every limiter reacts to.
A kick drum has some, too, which comes and goes with it: that stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import BLOCK_FRAMES, Audio, AudioBuffer
from engine.repair.repair import Place, Repair

Floats = npt.NDArray[np.float64]

#: Rumble lies between the first two; what is above the last counts as music.
_LOWEST_HZ, _RUMBLE_HZ, _VALLEY_HZ, _MUSIC_HZ = 2.0, 15.0, 18.0, 30.0
_FRAME_S = 1.0
#: Damage from this level on, re the music's RMS. Codecs leave offsets of -30 to -37 dB;
#: recordings have up to -53 and single stems up to -47.
_OFFSET_DB, _RUMBLE_DB = -42.0, -45.0
#: An offset is there between the notes, too: the median of short means is within this share of the mean.
_SHORT_S, _CONSTANT = 0.05, 0.3
#: Rumble is a hump: denser by this than what lies between it and the music. The feet of drums and basses are
#: 5 to 13 dB less dense.
_HUMP_DB = 3.0
#: Rumble that goes on: its quiet moments lie no further below the usual ones.
_STEADY_DB = 10.0
#: What follows the music's level by more than this correlation belongs to it.
_RELATED = 0.5
#: Half the length of the low-pass filter whose output is subtracted: -60 dB from 30 Hz on.
_HALF_S = 0.16
_KAISER_BETA = 5.65


@dataclass
class _Found:
    """Offset of each channel, the low-pass filter where there is rumble, and the figures for the report."""

    offset: Floats
    offset_db: float
    rumble_db: float
    taps: npt.NDArray[np.float32] | None
    frames: int
    end_s: float


class Derumble(Repair):
    """The offset is subtracted exactly, rumble by a linear-phase filter that changes nothing above 30 Hz."""

    effect: ClassVar[str] = "derumble"
    artifact: ClassVar[str] = "offset and rumble"
    linear: ClassVar[bool] = True
    context_s: ClassVar[float] = _HALF_S + 0.001

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """The mean of each channel, then the levels of rumble and music second by second."""
        offset, constant = _offset(source)
        rumble, valley, music = _powers(source, offset)
        power = float(music.mean()) if music.size else 0.0
        if power <= 0.0:
            return None
        offset_db = _db(float(np.square(offset).max()) / power)
        rumble_db = _db(float(rumble.mean()) / power)
        is_offset = constant and offset_db > _OFFSET_DB
        hump_db = _db(float(rumble.mean()) / max(float(valley.mean()), 1e-30))
        hump_db += _db((_MUSIC_HZ - _VALLEY_HZ) / (_RUMBLE_HZ - _LOWEST_HZ))
        is_rumble = (
            rumble_db > _RUMBLE_DB and hump_db > _HUMP_DB and _goes_on(rumble) and not _related(rumble, music)
        )
        if not (is_offset or is_rumble):
            return None
        return _Found(
            offset=offset if is_offset else np.zeros_like(offset),
            offset_db=offset_db,
            rumble_db=rumble_db,
            taps=_low_pass(source.sample_rate) if is_rumble else None,
            frames=source.frames,
            end_s=source.frames / source.sample_rate,
        )

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """The block without the offset, then without what lies below 20 Hz."""
        result = block.copy()
        # Beyond the ends of the recording there is no offset to take away.
        result[:, max(-start, 0) : found.frames - start] -= found.offset[:, None].astype(np.float32)
        if found.taps is not None:
            from scipy.signal import oaconvolve

            result -= oaconvolve(result, found.taps[None], mode="same", axes=-1)
        repaired: Audio = result
        return repaired

    def describe(self, found: _Found) -> dict[str, Any]:
        """How much of either there was."""
        parts = []
        places = []
        if found.offset.any():
            parts.append(f"a constant offset {-found.offset_db:.0f} dB below the music")
            places.append(Place(start_s=0.0, end_s=found.end_s, low_hz=0.0, high_hz=0.0))
        if found.taps is not None:
            parts.append(f"rumble below 20 Hz, {-found.rumble_db:.0f} dB below the music")
            places.append(Place(start_s=0.0, end_s=found.end_s, low_hz=0.0, high_hz=_RUMBLE_HZ))
        return self.damage_report(
            " and ".join(parts),
            "taken away",
            places,
            offset_db=max(found.offset_db, -200.0),
            rumble_db=max(found.rumble_db, -200.0),
        )


def _offset(source: AudioBuffer) -> tuple[Floats, bool]:
    """Mean of each channel over the whole recording, and whether the largest is a constant one."""
    short = max(round(_SHORT_S * source.sample_rate), 1)
    step = short * max(BLOCK_FRAMES // short, 1)
    sums = [np.zeros((source.channels, 0))]
    for start in range(0, source.frames, step):
        block = source.read(start, min(start + step, source.frames))
        at = np.arange(0, block.shape[1], short)
        sums.append(np.add.reduceat(block, at, axis=1, dtype=np.float64))
    together = np.concatenate(sums, axis=1)
    mean = together.sum(axis=1) / max(source.frames, 1)
    loudest = int(np.abs(mean).argmax())
    median = float(np.median(together[loudest])) / min(short, max(source.frames, 1))
    return mean, abs(median - mean[loudest]) < _CONSTANT * abs(mean[loudest])


def _powers(source: AudioBuffer, offset: Floats) -> tuple[Floats, Floats, Floats]:
    """Power of rumble, of the valley and of music in overlapping frames of a second; none for silent ones."""
    from scipy.fft import rfft

    length = min(round(_FRAME_S * source.sample_rate), source.frames)
    hz = source.sample_rate / length
    edges = [round(edge / hz) for edge in (_LOWEST_HZ, _RUMBLE_HZ, _VALLEY_HZ, _MUSIC_HZ)]
    window = np.hanning(length + 2)[1:-1].astype(np.float32)
    scale = 2 / (length * float(np.square(window).sum()))
    found = []
    for start in range(0, source.frames - length + 1, max(length // 2, 1)):
        frame = source.read(start, start + length) - offset[:, None].astype(np.float32)
        spectrum = rfft(frame * window, axis=-1)
        power = scale * (np.square(spectrum.real) + np.square(spectrum.imag)).mean(axis=0)
        low, rumble, valley, music = edges
        found.append((power[max(low, 1) : rumble].sum(), power[valley:music].sum(), power[music:].sum()))
    powers = np.array(found, dtype=np.float64).reshape(-1, 3)
    total = powers.sum(axis=1)
    rumbles, valleys, musics = powers[total > 1e-9 * total.max(initial=0.0)].T
    return rumbles, valleys, musics


def _goes_on(rumble: Floats) -> bool:
    quiet, usual = np.quantile(rumble, [0.1, 0.5])
    return _db(quiet) > _db(usual) - _STEADY_DB


def _related(rumble: Floats, music: Floats) -> bool:
    """Whether the rumble rises and falls with the music."""
    levels = 10 * np.log10(np.stack([rumble, music]) + 1e-30)
    spread = levels.std(axis=1)
    if levels.shape[1] < 3 or spread.min() < 0.5:
        return False
    return bool(np.corrcoef(levels)[0, 1] > _RELATED)


def _low_pass(sample_rate: int) -> npt.NDArray[np.float32]:
    """Symmetric low-pass filter, -6 dB at 22 Hz."""
    half = round(_HALF_S * sample_rate)
    corner = (_RUMBLE_HZ + _MUSIC_HZ) / 2 / sample_rate
    taps = np.sinc(2 * corner * np.arange(-half, half + 1)) * np.kaiser(2 * half + 1, _KAISER_BETA)
    normalised: npt.NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return normalised


def _db(ratio: float) -> float:
    return 10 * float(np.log10(ratio + 1e-30))

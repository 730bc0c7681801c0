"""Pictures: a waveform's peaks and a mel spectrogram, small enough to lie in the page as plain bytes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio.buffer import AudioBuffer

FLOOR_DB = -120.0
STEP_DB = 0.5
_WINDOW = 4096
#: STFT frames per column at the most: a long song is sampled, not read in full detail.
_FRAMES_PER_COLUMN = 4
_COLUMNS_PER_BLOCK = 128


@dataclass(frozen=True)
class Pictures:
    """What is drawn of a recording."""

    #: Lowest and highest sample of every column, interleaved, shape (2 * columns,).
    peaks: npt.NDArray[np.int8]
    #: Level in steps above the floor, shape (rows, columns), the lowest row first.
    spectrogram: npt.NDArray[np.uint8]


def make_pictures(buffer: AudioBuffer, columns: int, rows: int, top_hz: float) -> Pictures:
    """Draw `buffer` in `columns` columns; rows are equally wide on the mel scale from 0 Hz to `top_hz`.

    Column `c` covers the frames from `c * frames // columns` on. The power of the channels is added up, so
    that nothing cancels; a full-scale sine in one channel of a mono recording reads about 0 dB.
    """
    peaks = np.zeros((columns, 2), np.int8)
    levels = np.zeros((rows, columns), np.uint8)
    edges = np.arange(columns + 1) * buffer.frames // columns
    window = np.hanning(_WINDOW).astype(np.float32)
    bank = mel_rows(rows, buffer.sample_rate, top_hz)
    scale = (2.0 / window.sum()) ** 2 / buffer.channels
    half = _WINDOW // 2
    for first in range(0, columns, _COLUMNS_PER_BLOCK):
        last = min(first + _COLUMNS_PER_BLOCK, columns)
        origin = int(edges[first]) - half
        block = buffer.read(origin, int(edges[last]) + half)
        centres: list[int] = []
        counts: list[int] = []
        for column in range(first, last):
            start, stop = int(edges[column]), int(edges[column + 1])
            inside = block[:, start - origin : stop - origin]
            if inside.size:
                peaks[column] = np.clip(np.round([inside.min() * 127, inside.max() * 127]), -127, 127)
            count = max(1, min(_FRAMES_PER_COLUMN, (stop - start) // half))
            centres += [start + (stop - start) * (2 * n + 1) // (2 * count) - origin for n in range(count)]
            counts.append(count)
        frames = np.stack([block[:, centre - half : centre + half] for centre in centres])
        power = np.square(np.abs(np.fft.rfft(frames * window, axis=-1))).sum(axis=1)
        groups = np.concatenate([[0], np.cumsum(counts)[:-1]])
        means = np.add.reduceat(power, groups, axis=0) / np.array(counts)[:, None]
        decibels = 10 * np.log10(np.maximum(bank @ means.T * scale, 1e-13))
        levels[:, first:last] = np.clip(np.round((decibels - FLOOR_DB) / STEP_DB), 0, 255)
    return Pictures(peaks.reshape(-1), levels)


def mel_rows(rows: int, sample_rate: int, top_hz: float) -> npt.NDArray[np.float32]:
    """A matrix (rows, bins) that takes the mean power of the bins within each row.

    Rows narrower than a bin interpolate between its neighbours. The scale is O'Shaughnessy's,
    m = 2595 log10(1 + f / 700).
    """
    edges_hz = mel_to_hz(np.linspace(0.0, hz_to_mel(top_hz), rows + 1))
    bins = _WINDOW // 2 + 1
    at = np.clip(edges_hz * _WINDOW / sample_rate, 0.0, bins - 1.0)
    bank = np.zeros((rows, bins), np.float32)
    for row in range(rows):
        low, high = at[row], at[row + 1]
        inside = np.arange(np.ceil(low), np.floor(high) + 1, dtype=int)
        if len(inside):
            bank[row, inside] = 1.0 / len(inside)
        else:
            centre = (low + high) / 2
            below = min(int(centre), bins - 2)
            bank[row, below : below + 2] = [1 - (centre - below), centre - below]
    return bank


def hz_to_mel(hz: float) -> float:
    """Frequency in mel."""
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def mel_to_hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Frequencies in Hz."""
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)

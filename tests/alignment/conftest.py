"""Music made of arithmetic, exact shifts and the ways in which a stem may change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from engine.audio.buffer import AudioBuffer

RATE = 44_100
Signal = npt.NDArray[np.float64]


def make_song(seconds: float, seed: int = 3) -> Signal:
    """Stereo notes with partials and drum-like hits, four a second, each at a place of its own."""
    random = np.random.default_rng(seed)
    frames = int(seconds * RATE)
    song = np.zeros((2, frames))
    time = np.arange(RATE) / RATE
    lowpass = np.hanning(9)
    for start in range(0, frames, RATE // 4):
        pitch = 55.0 * 2 ** (random.integers(0, 36) / 12)
        partials = np.arange(1, 30)
        phases = random.uniform(0, 2 * np.pi, 29)
        waves = np.sin(2 * np.pi * pitch * partials[:, None] * time + phases[:, None])
        note = (waves / partials[:, None] ** 1.2 * (pitch * partials < 16_000)[:, None]).sum(0)
        hit = np.convolve(random.standard_normal(RATE), lowpass / lowpass.sum(), "same")
        end = min(start + RATE, frames)
        for sound, decay in ((note * 0.1, 4.0), (hit * 0.3, 25.0)):
            pan = random.uniform(0.2, 0.8)
            envelope = np.exp(-decay * time) * np.minimum(time * 200, 1)
            song[:, start:end] += np.outer([1 - pan, pan], (sound * envelope)[: end - start])
    return song


def shift(signal: Signal, delay: float) -> Signal:
    """Exact band-limited shift by `delay` samples, positive later, zeros beyond the ends."""
    frames = signal.shape[-1]
    length = 1 << int(np.ceil(np.log2(frames + 2 * abs(delay) + 8192)))
    turn = np.exp(-2j * np.pi * np.arange(length // 2 + 1) * delay / length)
    turn[-1] = np.cos(np.pi * delay)
    return np.fft.irfft(np.fft.rfft(signal, length) * turn, length)[..., :frames]


@pytest.fixture(scope="session")
def song() -> Signal:
    """Six seconds of stereo music, shape (2, frames), at 44.1 kHz."""
    return make_song(6.0)


@pytest.fixture(scope="session")
def bass(song: Signal) -> Signal:
    """The same without anything above 150 Hz."""
    from scipy.signal import butter, sosfiltfilt

    return np.asarray(sosfiltfilt(butter(6, 150, fs=RATE, output="sos"), song))


@pytest.fixture(scope="session")
def delayed() -> Callable[[Signal, float], Signal]:
    return shift


@pytest.fixture(scope="session")
def song_of() -> Callable[[float], Signal]:
    """`song_of(seconds)`: music of that length."""
    return make_song


@pytest.fixture(scope="session")
def buffer() -> Callable[[Signal], AudioBuffer]:
    """A signal as a buffer in memory at 44.1 kHz."""
    return lambda signal: AudioBuffer.of(signal, RATE)


@pytest.fixture(scope="session")
def compress() -> Callable[[Signal], Signal]:
    """A 4:1 compressor with zero latency: a smoothed gain from the level of both channels."""

    def apply(signal: Signal) -> Signal:
        from scipy.signal import lfilter

        power = lfilter([0.002], [1, -0.998], np.square(signal).mean(0))
        level_db = 10 * np.log10(power + 1e-12)
        gain_db = -0.75 * np.maximum(level_db - level_db.max() + 15, 0)
        return np.asarray(signal * 10 ** (gain_db / 20))

    return apply


@pytest.fixture(scope="session")
def equalise() -> Callable[[Signal], Signal]:
    """A linear-phase equaliser of some +-5 dB without delay."""

    def apply(signal: Signal) -> Signal:
        from scipy.signal import fftconvolve, firwin2

        gains = [0.5, 1.0, 1.7, 0.7, 1.5, 1.0, 1.8]
        taps = firwin2(2049, [0, 60, 200, 800, 2500, 8000, RATE / 2], gains, fs=RATE)
        return np.asarray(fftconvolve(signal, taps[None], "same", axes=-1))

    return apply


@pytest.fixture(scope="session")
def scramble() -> Callable[[Signal], Signal]:
    """Magnitudes kept, phases made up and then made consistent, as Griffin and Lim do."""

    def apply(signal: Signal) -> Signal:
        from scipy.signal import istft, stft

        random = np.random.default_rng(0)
        size = {"nperseg": 1024, "noverlap": 768}
        magnitude = np.abs(stft(signal, **size)[2])
        phase = np.exp(2j * np.pi * random.random(magnitude.shape))
        for _ in range(6):
            sound = istft(magnitude * phase, **size)[1]
            again = stft(sound, **size)[2][..., : magnitude.shape[-1]]
            phase = np.exp(1j * np.angle(again))
        return np.asarray(istft(magnitude * phase, **size)[1][:, : signal.shape[1]])

    return apply

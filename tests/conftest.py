"""What all tests share: a quick stand-in for a separation model, and noise to feed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.separation.separator import SeparationOptions


class FakeSeparator:
    """Splits the mix into four bands, 30 dB short of the whole, one second at a time.

    It is linear, has no delay, and the four stems sum to the mix times `1 - 10 ** (-30 / 20)`, so the
    level of what it leaves over is exactly -30 dB. `runs` counts the calls of `separate` that were started.
    """

    sources = ("drums", "bass", "other", "vocals")
    channels = 2
    residual_gain = 10 ** (-30 / 20)

    def __init__(
        self,
        options: SeparationOptions | None = None,
        sample_rate: int = 44_100,
        name: str = "fake",
        digest: str = "fa" * 32,
    ) -> None:
        self.options = options or SeparationOptions()
        self.sample_rate = sample_rate
        self.name = name
        self.digest = digest
        self.runs = 0

    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        from scipy.signal import firwin, oaconvolve

        assert (audio.sample_rate, audio.channels) == (self.sample_rate, self.channels)
        self.runs += 1
        taps = 513
        context = taps // 2
        lowpasses = [firwin(taps, share, fs=1.0)[None] for share in (0.005, 0.035, 0.14)]
        total = -(-audio.frames // self.sample_rate)
        progress(0, total)
        for index in range(total):
            cancel()
            start = index * self.sample_rate
            stop = min(start + self.sample_rate, audio.frames)
            around = audio.read(start - context, stop + context).astype(np.float64)
            low, mid, high = (oaconvolve(around, taps, mode="valid", axes=-1) for taps in lowpasses)
            mix = around[:, context : context + stop - start]
            bands = {"bass": low, "vocals": mid - low, "other": high - mid, "drums": mix - high}
            block = np.stack([bands[name] for name in self.sources]) * (1 - self.residual_gain)
            yield start, block.astype(np.float32)
            progress(index + 1, total)


@pytest.fixture
def fake_separator() -> FakeSeparator:
    """A model of four stems at 44.1 kHz; `type(fake_separator)(options, ...)` makes others."""
    return FakeSeparator()


@pytest.fixture
def noise() -> Callable[..., Audio]:
    """`noise(frames, channels=2, seed=0, level=0.1)`: white noise, shape (channels, frames), RMS `level`."""

    def make(frames: int, channels: int = 2, seed: int = 0, level: float = 0.1) -> Audio:
        generator = np.random.default_rng(seed)
        return generator.standard_normal((channels, frames), np.float32) * np.float32(level)

    return make

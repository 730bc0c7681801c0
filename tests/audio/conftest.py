from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import Audio


@pytest.fixture
def noise() -> Callable[..., Audio]:
    """noise(channels, frames, peak=0.5): white noise, the same on every call."""

    def make(channels: int, frames: int, peak: float = 0.5, seed: int = 0) -> Audio:
        random = np.random.default_rng(seed)
        return (random.uniform(-peak, peak, (channels, frames))).astype(np.float32)

    return make


@pytest.fixture
def wav(tmp_path: Path, noise: Callable[..., Audio]) -> Path:
    """A healthy WAV of 0.5 s, 44.1 kHz, 16 bits, stereo."""
    path = tmp_path / "healthy.wav"
    soundfile.write(path, noise(2, 22050).T, 44100, subtype="PCM_16")
    return path

"""A healthy file for the tests of audio input and output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from engine.audio.buffer import Audio


@pytest.fixture
def wav(tmp_path: Path, noise: Callable[..., Audio]) -> Path:
    """A healthy WAV of 0.5 s, 44.1 kHz, 16 bits, stereo."""
    path = tmp_path / "healthy.wav"
    soundfile.write(path, noise(22050).T, 44100, subtype="PCM_16")
    return path

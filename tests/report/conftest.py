"""A finished job on disk, without a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.report.job_folder import JobFolder


@pytest.fixture
def job(
    tmp_path: Path, write_job: Callable[..., Path], noise: Callable[..., Any]
) -> Callable[..., JobFolder]:
    """`job(seconds=6, rate=44100, channels=2, preset=..., level=..., report=...)`: a job and its source."""

    def make(
        seconds: float = 6.0,
        rate: int = 44_100,
        channels: int = 2,
        preset: str = "balanced",
        name: str = "song",
        level: float = 0.1,
        silent_stem: bool = False,
        **more: Any,
    ) -> JobFolder:
        frames = round(seconds * rate)
        source = tmp_path / f"{name}.wav"
        if not source.exists():
            soundfile.write(source, noise(frames, channels).T, rate, subtype="FLOAT")
        mix = noise(frames, channels, seed=len(preset), level=level)
        stems = {"vocals": mix * 0.5, "drums": mix * (0.0 if silent_stem else 0.5)}
        folder = tmp_path / f"{name}-{preset}.stemfix"
        return JobFolder.open(write_job(folder, source, mix, stems, preset, **more))

    return make


@pytest.fixture
def sine() -> Callable[..., np.ndarray]:
    """`sine(hertz, seconds, rate, level)`: shape (1, frames)."""

    def make(hertz: float, seconds: float = 2.0, rate: int = 44_100, level: float = 1.0) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        return (level * np.sin(2 * np.pi * hertz * time))[None].astype(np.float32)

    return make

"""Songs on disk and jobs on them, with the quick stand-in for a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import JobResult, run_job
from engine.progress import Progress


def song(frames: int, channels: int, rate: int, seed: int = 0) -> np.ndarray:
    """Something like music, shape (frames, channels): a bass note, a chord, a pulsing voice, hits, air."""
    generator = np.random.default_rng(seed)
    time = np.arange(frames) / rate
    notes = np.array([55.0, 65.4, 49.0, 73.4])[(time / 0.4).astype(int) % 4]
    bass = 0.25 * np.sin(2 * np.pi * np.cumsum(notes) / rate) * np.exp(-(time % 0.4) / 0.3)
    chord = sum(
        0.05 * np.sin(2 * np.pi * hertz * time) for hertz in (440.0, 554.4, 659.3) if hertz < rate / 2
    )
    voice = 0.15 * np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * 0.7 * time) > 0)
    hits = generator.standard_normal(frames) * 0.3 * np.exp(-((time % 0.5) / 0.03))
    mono = bass + chord + voice + hits + generator.standard_normal(frames) * 1e-4
    pan = np.linspace(0.8, 1.0, channels)
    return (mono[:, None] * pan + generator.standard_normal((frames, channels)) * 0.003).astype(np.float32)


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees another's stem cache."""
    monkeypatch.setenv("STEMFIX_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def make_song(tmp_path: Path) -> Callable[..., Path]:
    """`make_song(frames, channels=2, rate=44100, name=..., subtype=...)` writes a song, returns its path."""

    def make(
        frames: int, channels: int = 2, rate: int = 44_100, name: str = "song.wav", subtype: str = "FLOAT"
    ) -> Path:
        path = tmp_path / name
        soundfile.write(path, song(frames, channels, rate), rate, subtype=subtype)
        return path

    return make


@pytest.fixture
def run(fake_separator: Any, tmp_path: Path) -> Callable[..., JobResult]:
    """`run(source, **spec)` does a job with the stand-in model into `tmp_path / "out"`."""

    def start(source: Path, *, progress: Progress | None = None, **fields: Any) -> JobResult:
        spec = JobSpec(**{"source": source, "out_dir": tmp_path / "out", "model": "fake", **fields})
        return run_job(spec, progress, models=lambda *_: ModelHandle.of(fake_separator))

    return start

"""Once with everything real: the installer, the trigger from the terminal, the engine and its weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from app import Ardour, Home
from session_file import read_session

from engine.paths import model_dir
from engine.separation import weights

RATE = 44_100
STEMS = ("drums", "bass", "other", "vocals")


@pytest.fixture(scope="module")
def real_home(programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    weights.pull("htdemucs")
    made = Home(tmp_path_factory.mktemp("real"), Path(sys.executable), models=model_dir())
    yield made
    made.stop_engine()


def music(frames: int) -> np.ndarray:
    """Hits, a bass line and a chord, shape (frames, 2)."""
    generator = np.random.default_rng(5)
    time = np.arange(frames) / RATE
    hits = generator.standard_normal(frames) * 0.3 * np.exp(-(time % 0.5) / 0.03)
    bass = 0.2 * np.sin(2 * np.pi * 55 * time)
    chord = sum(0.05 * np.sin(2 * np.pi * hertz * time) for hertz in (440.0, 554.4, 659.3))
    return np.stack([hits + bass + chord, hits + bass + 0.7 * chord], axis=1).astype(np.float32)


@pytest.mark.weights
def test_the_round_trip_with_the_real_model(real_home: Home, screen: str, tmp_path: Path) -> None:
    wav = tmp_path / "song.wav"
    frames, position, start = 6 * RATE, 131_371, 7_919
    soundfile.write(wav, music(frames + start + 1_000), RATE, subtype="FLOAT")
    session = real_home.new_session("real", RATE)
    ardour = Ardour(real_home, session, screen)
    try:
        region = ardour.add_region(wav, position, start, frames)
        pulse = position + frames + RATE
        ardour.add_pulse(pulse, RATE)
        ardour.save()
        before = real_home.export(session, tmp_path / "before.wav", 0, pulse + RATE, pulse)
        ardour.select(region)
        python, since = Path(sys.executable), len(real_home.log())
        real_home.stemfix(python, "ardour", "enhance-selected", "--preset", "none", "--port", real_home.port)
        ardour.wait_for_log("Outcome: done", since, 300)
        ardour.save()
        after = real_home.export(session, tmp_path / "after.wav", 0, pulse + RATE, pulse)
        difference = soundfile.read(before)[0] - soundfile.read(after)[0]
        depth = 20 * np.log10(np.sqrt(np.mean(difference[position : position + frames] ** 2)) + 1e-30)
        assert depth <= -120, depth

        # And with a chain, which changes the sound but not the place.
        ardour.select(region)
        since = len(real_home.log())
        real_home.stemfix(
            python, "ardour", "enhance-selected", "--preset", "balanced", "--port", real_home.port
        )
        ardour.wait_for_log("Outcome: done", since, 300)
        ardour.quit()
    finally:
        ardour.kill()
    saved = read_session(session)
    stems = [region for region in saved.regions if region.name.startswith("song ")]
    assert len(stems) == 2 * len(STEMS)
    assert {(stem.position, stem.start, stem.length) for stem in stems} == {(position, 0, frames)}
    assert saved.unconnected == []

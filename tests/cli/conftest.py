"""The command line run in this process, on private folders, with the quick stand-in for a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stemfix.__main__ import main


@dataclass
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        """stdout as one strict JSON value per line."""
        return [json.loads(line, parse_constant=_refuse) for line in self.out.splitlines()]

    @property
    def error_lines(self) -> list[str]:
        """The lines on stderr that report a failure."""
        return [line for line in self.err.splitlines() if line.startswith("stemfix: ")]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


@pytest.fixture(autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees this computer's models, cache or settings."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("DATA", "CACHE", "MODEL"):
        monkeypatch.setenv(f"STEMFIX_{name}_DIR", str(folder / name.lower()))
    for variable in ("XDG_CONFIG_HOME", "LOCALAPPDATA"):  # where DAWs keep their configuration
        monkeypatch.setenv(variable, str(folder / "config"))
    for name in (
        "DEMUCS_MODEL",
        "DEMUCS_SHIFTS",
        "DEMUCS_OVERLAP",
        "USE_FLOAT32",
        "STEMFIX_YES",
        "STEMFIX_DEBUG",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return folder


@pytest.fixture
def stemfix(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`stemfix("enhance", path, ...)` runs the program and returns its status and output."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return Outcome(status, shown.out, shown.err)

    return run


@pytest.fixture
def fake_model(fake_separator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whatever model is asked for is there, and is the stand-in."""
    import engine.models

    monkeypatch.setattr(engine.models, "open_model", lambda *_: engine.models.ModelHandle.of(fake_separator))
    return fake_separator


@pytest.fixture
def make_song(tmp_path: Path) -> Callable[..., Path]:
    """`make_song(name, seconds=1.0, rate=44100, channels=2)` writes tones, hits and noise; the path."""

    def make(name: str = "song.wav", seconds: float = 1.0, rate: int = 44_100, channels: int = 2) -> Path:
        frames = round(seconds * rate)
        time = np.arange(frames) / rate
        generator = np.random.default_rng(0)
        tones = sum(0.1 * np.sin(2 * np.pi * hertz * time) for hertz in (60, 440, 1000))
        hits = 0.3 * generator.standard_normal(frames) * np.exp(-((time % 0.5) / 0.03))
        audio = (tones + hits)[:, None] + 0.003 * generator.standard_normal((frames, channels))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio.astype(np.float32), rate, subtype="FLOAT", format="WAV")
        return path

    return make

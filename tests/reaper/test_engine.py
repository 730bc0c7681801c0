"""The whole trip: a script in REAPER, the real engine and its real weights, and back into the project."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from model import Source
from render import null_db, render

#: Far more than a few seconds of music take on a busy machine.
PATIENCE_S = 300.0


def _music(path: Path, seconds: float = 7.0, rate: int = 48000) -> str:
    """Some tones and beats: enough for a model to work on."""
    t = np.arange(round(seconds * rate)) / rate
    tones = sum(np.sin(2 * np.pi * f * t + p) for f, p in ((110, 0), (220.5, 1), (331, 2), (440, 0.5)))
    beats = np.random.default_rng(2).standard_normal(len(t)) * np.exp(-((t * 2) % 1) * 12)
    both = 0.1 * tones + 0.2 * beats
    subtype = "PCM_24" if path.suffix == ".wav" else None
    soundfile.write(path, np.stack([both, 0.8 * both + 0.02 * np.roll(both, 40)], 1), rate, subtype=subtype)
    return str(path)


@pytest.mark.weights
@pytest.mark.slow
def test_the_whole_trip(studio: Any) -> None:
    reaper, project = studio.reaper, studio.project
    (reaper.data_dir / "engine.json").unlink()
    # A Python path with a space and the arguments as REAPER splits them.
    python = reaper.data_dir / "python"
    python.unlink()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    started: list[subprocess.Popen[bytes]] = []
    opened: list[str] = []

    def start(command: str) -> str:
        if command.startswith("/usr/bin/xdg-open"):
            opened.append(shlex.split(command)[1])
            return ""
        environment = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), "OMP_NUM_THREADS": "2"}
        # As REAPER has them: none of what points stemfix elsewhere, but for the models that are pulled.
        environment |= {k: v for k, v in os.environ.items() if k in ("STEMFIX_MODEL_DIR", "XDG_DATA_HOME")}
        environment["STEMFIX_MODEL_DIR"] = str(_model_dir())
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        started.append(subprocess.Popen(shlex.split(command), env=environment, cwd="/"))
        return ""

    reaper.on_start = start
    source = Source.of_file(_music(studio.folder / "music.wav"))
    values = {"D_POSITION": 0.7, "D_LENGTH": 2.0, "B_UISEL": 1.0, "D_FADEINLEN": 0.2, "D_VOL": 0.9}
    plain, reverse = project.add_track("Plain", D_VOL=0.8), project.add_track("Reversed")
    plain.add_item(source, "a", take={"D_STARTOFFS": 2.7512345}, **values)
    reverse.add_item(
        Source.of_file(source.path).section(0.5, 6.0, True),
        "b",
        take={"D_STARTOFFS": 1.3, "D_PLAYRATE": 1.25, "B_PPITCH": 0.0},
        **values,
    )
    # A file that other programs may begin elsewhere: REAPER reads it for the engine.
    project.add_track("Lossy").add_item(
        Source.of_file(_music(studio.folder / "music.ogg")), "c", take={"D_STARTOFFS": 1.5}, **values
    )
    before, state = render(project, 4), project.state()
    until = time.monotonic() + PATIENCE_S

    def wait(number: int) -> None:
        assert time.monotonic() < until, reaper.texts[-4:]
        time.sleep(1 / 30)

    try:
        reaper.run("Separate selected item", wait, max_ticks=100_000)
        assert len(started) == 1
    finally:
        _end_engine(reaper.data_dir)
    reaper.run("Open comparison page", wait, max_ticks=100_000)
    assert reaper.messages == []
    assert not reaper.violations
    (page,) = opened
    assert Path(page).name == "comparison.html"
    assert Path(page).stat().st_size > 10_000
    stems = ["drums", "bass", "other", "vocals"]
    assert [track.name for track in project.tracks] == [
        *("Plain", "Plain (stemfix)", *stems),
        *("Reversed", "Reversed (stemfix)", *stems),
        *("Lossy", "Lossy (stemfix)", *stems),
    ]
    assert abs(before).max() > 0.01
    assert null_db(before, render(project, 4)) <= -120
    project.undo_last()
    assert project.state() == state


def _model_dir() -> Path:
    from engine.paths import model_dir

    return model_dir()


def _end_engine(data_dir: Path) -> None:
    import psutil

    beat = data_dir / "engine.json"
    if beat.exists():
        process = psutil.Process(json.loads(beat.read_text())["pid"])
        process.terminate()
        process.wait(30)

"""A real process that is stopped in the middle of a separation leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: The program with a model that never ends until it is cancelled.
RUNNER = """
import signal, sys, time
import numpy as np
import engine.models
from engine.separation.separator import SeparationOptions
from stemfix.__main__ import main

signal.signal(signal.SIGINT, signal.default_int_handler)

class Endless:
    name, sources, sample_rate, channels = "endless", ("drums", "bass", "other", "vocals"), 44100, 2
    digest, options = "0" * 64, SeparationOptions()

    def separate(self, audio, seed, progress, cancel):
        yield 0, np.zeros((4, 2, 1000), np.float32)
        progress(1, 10)
        while True:
            cancel()
            time.sleep(0.01)

engine.models.open_model = lambda *_: engine.models.ModelHandle.of(Endless())
sys.exit(main())
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM]],
    ids=["ctrl-c", "ctrl-c twice", "terminate"],
)
def test_a_stopped_job_leaves_nothing(
    make_song: Callable[..., Path], tmp_path: Path, signals: list[signal.Signals]
) -> None:
    song = make_song("in/song.wav", seconds=2.0)
    before = song.read_bytes()
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    process = subprocess.Popen(
        [sys.executable, str(runner), "enhance", str(song), "--out", str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen: list[str] = []
    for line in process.stderr:
        seen.append(line)
        if "separate" in line:
            break
    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, "".join(seen) + err
    assert err.strip().splitlines()[-1] == "stemfix: Cancelled; nothing was written."
    assert out == ""
    assert song.read_bytes() == before
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]
    assert not (tmp_path / "out").exists()

"""Real engine processes on private folders, with the quick stand-in for a model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from engine.queue.records import JobState
from engine.spool.client import engine_alive, read_status, write_job
from engine.spool.models import EngineHeartbeat, SpoolJob, SpoolStatus

RUNNER = Path(__file__).with_name("fake_engine.py")
#: Far more than anything here takes on a busy machine: only a hang exceeds it.
PATIENCE_S = 60.0


def wait_for(condition: Callable[[], Any]) -> Any:
    """What `condition` returns as soon as that is true."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("It did not happen.")


class Studio:
    """A data folder with engines on it, and a folder of songs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.out = folder / "out"
        self.started: list[subprocess.Popen[str]] = []

    def start(self, segment_s: float = 0.0) -> subprocess.Popen[str]:
        """Start an engine and wait until it is ready."""
        process = self.launch(segment_s)
        wait_for(lambda: process.poll() is not None or self._ready(process.pid))
        assert process.poll() is None, process.communicate()
        return process

    def launch(self, segment_s: float = 0.0) -> subprocess.Popen[str]:
        """Start an engine."""
        process = subprocess.Popen(
            [sys.executable, str(RUNNER), str(segment_s)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.started.append(process)
        return process

    def song(self, seconds: float = 1.0, name: str = "song.wav") -> Path:
        """A song on the disk."""
        path = self.folder / name
        frames = round(seconds * 44_100)
        audio = 0.1 * np.random.default_rng(frames).standard_normal((frames, 2))
        soundfile.write(path, audio.astype(np.float32), 44_100, subtype="FLOAT")
        return path

    def submit(self, source: Path, **fields: Any) -> str:
        """Hand a job over through the spool."""
        return write_job(SpoolJob(source=source, out_dir=self.out, model="fake", preset="none", **fields))

    def wait(self, job_id: str, *states: JobState) -> SpoolStatus:
        """The job's status once it has one of the states, by default any end."""

        def look() -> SpoolStatus | None:
            found = read_status(job_id)
            return found if found and (found.state in states if states else found.state.ended) else None

        found: SpoolStatus = wait_for(look)
        return found

    def until(self, condition: Callable[[], Any]) -> None:
        """Return when the condition is true."""
        wait_for(condition)

    def close(self) -> None:
        """End every engine on the data folder."""
        if (beat := engine_alive()) and beat.pid not in [process.pid for process in self.started]:
            os.kill(beat.pid, signal.SIGKILL)
            wait_for(lambda: not psutil.pid_exists(beat.pid) or engine_alive() is None)
        for process in self.started:
            process.kill()
            process.communicate()

    @staticmethod
    def _ready(pid: int) -> EngineHeartbeat | None:
        beat = engine_alive()
        return beat if beat and beat.pid == pid and beat.state == "ready" else None


def make_studio(folder: Path) -> Iterator[Studio]:
    """A studio on private folders, closed at the end."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "CACHE", "CONFIG", "MODEL"):
            patch.setenv(f"STEMFIX_{name}_DIR", str(folder / name.lower()))
        studio = Studio(folder)
        yield studio
        studio.close()


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A data folder without an engine so far."""
    yield from make_studio(tmp_path)


@pytest.fixture(scope="module")
def at_work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A data folder with one engine, the same for all tests of a file."""
    for studio in make_studio(tmp_path_factory.mktemp("studio")):
        studio.start()
        yield studio

"""A queue of one's own, songs for it, and engines with a stand-in model: in this process or in others."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.job import JobSpec, Manifest
from engine.models import ModelHandle
from engine.queue.client import QueueClient
from engine.queue.records import Priority
from engine.queue.runner import QueueRunner
from engine.queue.settings import QueueSettings

RATE = 44_100


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this test's queue."""
    for name in ("DATA", "CACHE", "MODEL", "CONFIG"):
        monkeypatch.setenv(f"STEMFIX_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "data"


@pytest.fixture
def client(home: Path) -> Iterator[QueueClient]:
    """A client of that queue."""
    with QueueClient() as queue:
        yield queue


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., JobSpec]:
    """`make_spec(name, seconds=1.0, first=None, **spec)` writes a song of its own and returns a job for it.

    `first` is the song's first sample.
    """

    def make(name: str, seconds: float = 1.0, first: float | None = None, **fields: Any) -> JobSpec:
        source = tmp_path / f"{name}.wav"
        if not source.exists():
            generator = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
            audio = generator.standard_normal((int(seconds * RATE), 2), np.float32) * np.float32(0.1)
            if first is not None:
                audio[0] = first
            soundfile.write(source, audio, RATE, subtype="FLOAT")
        given = {"out_dir": tmp_path / "out", "model": "fake", "preset": "none", "use_cache": False}
        return JobSpec(source=source, **{**given, **fields})

    return make


@pytest.fixture
def submit(client: QueueClient, make_spec: Callable[..., JobSpec]) -> Callable[..., str]:
    """`submit(name, priority=..., **make_spec's)` queues a job and returns its id."""

    def hand_over(name: str, *, priority: Priority = Priority.BATCH, **more: Any) -> str:
        return client.submit(make_spec(name, **more), priority=priority, client="test")

    return hand_over


@pytest.fixture
def start_runner(fake_separator: Any) -> Iterator[Callable[..., QueueRunner]]:
    """`start_runner(separator=..., on_change=..., **settings)`: an engine in this process."""
    started: list[QueueRunner] = []

    def start(separator: Any = fake_separator, on_change: Any = None, **settings: Any) -> QueueRunner:
        model = ModelHandle.of(separator)
        runner = QueueRunner(QueueSettings(**{"cpu_workers": 1, **settings}), lambda *_: model, on_change)
        runner.start()
        started.append(runner)
        return runner

    yield start
    for runner in started:
        runner.stop()


class EngineProcess:
    """An engine in a process of its own; see fake_engine.py."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self._process: subprocess.Popen[str] | None = None

    def start(self, slow: float = 0.0) -> None:
        script = Path(__file__).with_name("fake_engine.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(self.runs)],
            env={**os.environ, "SLOW": str(slow)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self._process
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n"

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send it a signal and return its exit status; 0 if there is none."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None
        return status

    def wait_until_dead(self) -> int:
        assert self._process
        return self._process.wait()

    def count_runs(self) -> dict[str, int]:
        """How often each song was separated."""
        lines = self.runs.read_text().split() if self.runs.exists() else []
        return {line: lines.count(line) for line in lines}


@pytest.fixture
def engine_process(tmp_path: Path) -> Iterator[EngineProcess]:
    """Not started yet."""
    process = EngineProcess(tmp_path / "runs")
    yield process
    process.end()


@pytest.fixture
def hashes() -> Callable[[Path], dict[str, list[str]]]:
    """`hashes(out_dir)`: what was delivered, by the song's name."""

    def read(out_dir: Path) -> dict[str, list[str]]:
        found = {}
        for folder in sorted(out_dir.glob("*.stemfix")):
            manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
            files = [*manifest.stems, *([manifest.mix] if manifest.mix else [])]
            for file in files:
                assert hashlib.sha256((folder / file.file).read_bytes()).hexdigest() == file.sha256
            found[folder.name] = [file.sha256 for file in files]
        return found

    return read


@pytest.fixture
def until() -> Callable[..., None]:
    """`until(condition, seconds=20)` waits for it."""

    def wait(condition: Callable[[], object], seconds: float = 20.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.01)

    return wait

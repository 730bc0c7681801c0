"""`stemfix engine` and `stemfix up` as real processes: one engine, and nobody outlives the supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")

ROOT = Path(__file__).parents[2]
PATIENCE_S = 40.0


@pytest.fixture
def start(tmp_path: Path, private_folders: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`start("engine")` starts the program on private folders; whatever is left of it ends with the test."""
    processes: list[subprocess.Popen[str]] = []
    environment = {
        **os.environ,
        "STEMFIX_CONFIG_DIR": str(tmp_path / "config"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "stemfix", *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_signals,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


def _heed_signals() -> None:
    """Undo what a shell sets for a program in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def until(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.fixture
def heartbeat(private_folders: Path) -> Callable[[], dict[str, Any]]:
    """Waits for an engine that is ready and returns what it says."""
    path = private_folders / "data" / "engine.json"

    def ready() -> dict[str, Any] | None:
        try:
            beat: dict[str, Any] = json.loads(path.read_text())
        except (OSError, ValueError):
            return None
        return beat if beat["state"] == "ready" and psutil.pid_exists(beat["pid"]) else None

    return lambda: until(ready)


def test_one_engine_per_data_folder_and_a_clean_end(start, heartbeat, private_folders: Path) -> None:
    engine = start("engine", "--device", "cpu")
    assert heartbeat()["pid"] == engine.pid
    second = start("engine")
    _, error = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2
    assert error.splitlines()[-1].startswith("stemfix: An engine is running")
    engine.terminate()
    assert engine.wait(PATIENCE_S) == 0
    assert not (private_folders / "data" / "engine.json").exists()


def test_a_supervised_engine_ends_with_its_standard_input(start, heartbeat) -> None:
    engine = start("engine", "--supervised")
    heartbeat()
    engine.stdin.close()
    engine.stdin = None
    assert engine.wait(PATIENCE_S) == 0


def test_up_starts_and_stops_the_engine_and_runs_once(start, heartbeat, tmp_path: Path) -> None:
    up = start("up")
    engine = psutil.Process(heartbeat()["pid"])
    assert engine.ppid() == up.pid
    second = start("up")
    _, error = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 2
    assert "Another 'stemfix up' runs" in error
    up.send_signal(signal.SIGINT)
    _, error = up.communicate(timeout=PATIENCE_S)
    assert up.returncode == 0
    assert not engine.is_running()
    assert [line.split(" ", 2)[2] for line in error.splitlines()] == [
        "No folder is watched; name one with [[watch]] in the configuration.",
        f"engine: started, process {engine.pid}.",
        "engine: stopped.",
        "Stopped.",
    ]


def test_the_engine_ends_when_up_is_killed_with_9(start, heartbeat, tmp_path: Path) -> None:
    up = start("up", "--log-file", str(tmp_path / "logs" / "up.log"))
    engine = psutil.Process(heartbeat()["pid"])
    up.kill()
    _, alive = psutil.wait_procs([engine], timeout=PATIENCE_S)
    assert not alive
    log = tmp_path / "logs" / "up.log"
    assert f"engine: started, process {engine.pid}." in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_up_uses_an_engine_that_runs_takes_over_and_watches(start, heartbeat, tmp_path: Path) -> None:
    watched = tmp_path / "in"
    watched.mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(f'[[watch]]\nfolder = "{watched.as_posix()}"\n')
    engine = start("engine")
    heartbeat()
    up = start("up")
    assert f"engine: runs already, process {engine.pid}; it is used." in up.stderr.readline()
    assert "watch: started" in up.stderr.readline()
    engine.kill()
    engine.communicate()
    second = until(lambda: (beat := heartbeat())["pid"] != engine.pid and beat)
    children = psutil.Process(up.pid).children()
    assert second["pid"] in [child.pid for child in children]
    assert len(children) == 2
    up.send_signal(signal.SIGHUP)  # a logoff
    assert up.wait(PATIENCE_S) == 0
    assert not any(child.is_running() for child in children)
    assert not psutil.pid_exists(second["pid"])


def test_a_wrong_configuration_ends_up_at_once_with_one_line(start, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[engine]\ncpu_worker = 2\n")
    for command in ("up", "watch"):
        process = start(command)
        _, error = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2
        assert len(error.splitlines()) == 1
        assert "line 2: [engine]: unknown key 'cpu_worker'. Did you mean 'cpu_workers'?" in error

"""Threads, real observers and the real queue."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OptionError
from engine.models import ModelHandle
from engine.paths import data_dir
from engine.queue.client import QueueClient
from engine.queue.records import JobState
from engine.queue.runner import QueueRunner
from engine.queue.settings import QueueSettings
from watchers.daemon import run_watchers
from watchers.settings import WatchSettings
from watchers.status import FolderStatus, WatchHeartbeat, heartbeat_path, read_heartbeat

Audio = Callable[..., bytes]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CACHE", "MODEL", "CONFIG"):
        monkeypatch.setenv(f"STEMFIX_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


class Daemon:
    """`run_watchers` in a thread."""

    def __init__(self, settings: list[WatchSettings], client: Any) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(
            target=run_watchers, args=(settings,), kwargs={"client": client, "stop": self.stop}
        )
        self.thread.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture
def daemon(queue: Any) -> Iterator[Callable[..., Daemon]]:
    """`daemon(folder, client=queue, **settings)` begins to watch."""
    started: list[Daemon] = []

    def start(*folders: Path, client: Any = queue, **settings: Any) -> Daemon:
        quick = {"preset": "none", "interval_s": 0.1, "stable_looks": 3, **settings}
        for folder in folders:
            folder.mkdir(exist_ok=True)
        started.append(Daemon([WatchSettings(folder=folder, **quick) for folder in folders], client))
        return started[-1]

    yield start
    for each in started:
        each.end()


def wait_for(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def status(number: int = 0) -> FolderStatus | None:
    beat = read_heartbeat()
    return beat.folders[number] if beat else None


def test_files_in_several_folders_are_taken(
    daemon: Callable[..., Daemon], queue: Any, tmp_path: Path, audio: Audio
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    running = daemon(one, two)
    wait_for(lambda: status() and status().state == status(1).state == "watching")  # type: ignore[union-attr]
    (one / "a.wav").write_bytes(audio(1))
    (two / "b.wav").write_bytes(audio(2))
    wait_for(lambda: sorted(queue.sources) == ["a.wav", "b.wav"])
    wait_for(lambda: status(1).taken == 1)  # type: ignore[union-attr]
    beat = WatchHeartbeat.model_validate(json.loads(heartbeat_path().read_text()))
    assert beat.pid == os.getpid()
    assert abs(beat.time - time.time()) < 30
    assert [folder.folder for folder in beat.folders] == [str(one), str(two)]
    if os.name != "nt":
        assert stat.S_IMODE(data_dir().stat().st_mode) == 0o700
        assert stat.S_IMODE(heartbeat_path().stat().st_mode) == 0o600
        assert stat.S_IMODE((data_dir() / "watch.sqlite").stat().st_mode) == 0o600
    running.end()
    assert read_heartbeat() is None


def test_one_process_watches(daemon: Callable[..., Daemon], tmp_path: Path, queue: Any) -> None:
    daemon(tmp_path / "in")
    wait_for(read_heartbeat)
    with pytest.raises(OptionError, match=f"process {os.getpid()}"):
        run_watchers([WatchSettings(folder=tmp_path)], client=queue, stop=threading.Event())


def test_settings_that_can_not_be_served_are_refused_at_once(tmp_path: Path, queue: Any) -> None:
    with pytest.raises(OptionError):
        run_watchers([WatchSettings(folder=tmp_path, preset="absent")], client=queue, stop=threading.Event())


def test_a_folder_within_a_watched_one_has_its_own_settings(
    daemon: Callable[..., Daemon], queue: Any, tmp_path: Path, audio: Audio
) -> None:
    outer = tmp_path / "in"
    inner = outer / "fast"
    outer.mkdir()
    daemon(outer, inner, recursive=True)
    (inner / "a.wav").write_bytes(audio())
    wait_for(lambda: queue.records)
    wait_for(lambda: status(1).taken == 1)  # type: ignore[union-attr]
    assert status().taken == 0  # type: ignore[union-attr]


def test_a_folder_that_comes_back_is_picked_up(
    daemon: Callable[..., Daemon], queue: Any, tmp_path: Path, audio: Audio
) -> None:
    folder = tmp_path / "in"
    daemon(folder)
    wait_for(lambda: status() and status().state == "watching")  # type: ignore[union-attr]
    folder.rename(tmp_path / "away")
    wait_for(lambda: status().state == "missing")  # type: ignore[union-attr]
    (tmp_path / "away" / "a.wav").write_bytes(audio(1))
    (tmp_path / "away").rename(folder)
    wait_for(lambda: queue.sources == ["a.wav"])
    (folder / "b.wav").write_bytes(audio(2))
    wait_for(lambda: queue.sources == ["a.wav", "b.wav"])


def test_from_the_drop_to_the_results_with_the_real_queue(
    daemon: Callable[..., Daemon], fake_separator: Any, tmp_path: Path, audio: Audio
) -> None:
    folder = tmp_path / "in"
    with QueueClient() as client:
        runner = QueueRunner(QueueSettings(cpu_workers=1), lambda *_: ModelHandle.of(fake_separator))
        runner.start()
        try:
            daemon(folder, client=client, when_done="move", recursive=True)
            for seed in range(3):
                (folder / f"song {seed} 🎸.wav").write_bytes(audio(seed))
            (folder / "again.wav").write_bytes(audio(0))
            (folder / "silent.wav").write_bytes(bytes(audio(0)[:44]) + bytes(len(audio(0)) - 44))
            wait_for(lambda: len(list((folder / "done").glob("*.wav"))) == 4)
            wait_for(lambda: status().failed == 1)  # type: ignore[union-attr]
        finally:
            runner.stop()
        states = [record.state for record in client.jobs()]
        assert states.count(JobState.DONE) == 3
        assert states.count(JobState.FAILED) == 1
    assert "silent" in (folder / "silent.wav.stemfix-failed.txt").read_text()
    results = sorted(path.name for path in folder.glob("*.stemfix"))
    assert len(results) == 3
    for name in results:
        assert (folder / name / "manifest.json").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]

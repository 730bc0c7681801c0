from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.paths import config_dir
from stemfix.monitor.heartbeats import read_bridges, read_engine, read_folders


@pytest.fixture
def dead_pid() -> int:
    """Of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write_engine(data: Path, **fields: Any) -> None:
    (data / "engine.json").write_text(
        json.dumps(
            {
                "version": "1.2.3",
                "engine_version": "1",
                "pid": os.getpid(),
                "process_started_at": psutil.Process().create_time(),
                "host": socket.gethostname(),
                "time": time.time(),
                "state": "ready",
                "device": "cuda",
                "model": "htdemucs",
                "warm": True,
                "memory_used_bytes": 5,
                "memory_free_bytes": 6,
                "log": "/log",
            }
            | fields
        )
    )
    (data / "engine.json").chmod(0o600)


def test_no_engine_ever(private_folders: Path) -> None:
    assert (read_engine().state, read_engine().since) == ("stopped", None)


def test_a_living_engine(private_folders: Path) -> None:
    write_engine(private_folders)
    engine = read_engine()
    assert (engine.state, engine.device, engine.model, engine.warm) == ("ready", "cuda", "htdemucs", True)
    assert (engine.memory_used_bytes, engine.memory_free_bytes) == (5, 6)
    assert engine.since == psutil.Process().create_time()


def test_the_memory_of_the_graphics_card_counts_where_one_is_used(private_folders: Path) -> None:
    write_engine(private_folders, device_memory_used_bytes=7, device_memory_free_bytes=8)
    engine = read_engine()
    assert (engine.memory_used_bytes, engine.memory_free_bytes) == (7, 8)


def test_a_killed_engine_is_stopped_since_its_last_word(private_folders: Path, dead_pid: int) -> None:
    spoke = time.time() - 1
    write_engine(private_folders, pid=dead_pid, time=spoke)
    assert (read_engine().state, read_engine().since) == ("stopped", spoke)


def test_an_engine_that_hangs_is_silent(private_folders: Path) -> None:
    write_engine(private_folders, time=time.time() - 60)
    assert (read_engine().state, read_engine().pid) == ("silent", os.getpid())


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"pid": "x"}', "\x00"])
def test_damaged_files_are_as_none(private_folders: Path, damaged: str) -> None:
    for name in ("engine.json", "watch.json", "bridge-reaper.json"):
        (private_folders / name).write_text(damaged)
    assert read_engine().state == "stopped"
    assert read_folders() == read_bridges() == ()


def test_watched_folders_with_their_counts(private_folders: Path) -> None:
    folder = {
        "folder": "/drop",
        "state": "watching",
        "waiting": 1,
        "taken": 9,
        "queued": 2,
        "done": 3,
        "failed": 4,
    }
    (private_folders / "watch.json").write_text(
        json.dumps({"pid": os.getpid(), "time": time.time(), "folders": [folder]})
    )
    (found,) = read_folders()
    assert (found.folder, found.state) == ("/drop", "watching")
    assert (found.waiting, found.queued, found.done, found.failed) == (1, 2, 3, 4)


def test_configured_folders_that_nobody_watches(private_folders: Path, tmp_path: Path) -> None:
    config_dir().mkdir(parents=True)
    (config_dir() / "config.toml").write_text(f"[[watch]]\nfolder = '{tmp_path}'\n")
    (found,) = read_folders()
    assert (found.folder, found.state) == (str(tmp_path), "stopped")
    assert "stemfix up" in found.message
    (config_dir() / "config.toml").write_text("[[watch]\n# not TOML")
    assert read_folders() == ()


def test_bridges(private_folders: Path, dead_pid: int) -> None:
    for name, pid in (("reaper", os.getpid()), ("ardour", dead_pid)):
        (private_folders / f"bridge-{name}.json").write_text(
            json.dumps({"pid": pid, "time": time.time(), "state": "connected", "message": "7.22"})
        )
    ardour, reaper = read_bridges()
    assert (ardour.name, ardour.state) == ("ardour", "stopped")
    assert (reaper.name, reaper.state, reaper.message) == ("reaper", "connected", "7.22")

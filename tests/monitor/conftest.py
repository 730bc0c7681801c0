"""Snapshots of a service with everything in it, as the monitor would find them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.queue.records import JobState
from stemfix.monitor.snapshot import (
    BridgeStatus,
    EngineStatus,
    FolderStatus,
    JobStatus,
    QueueStatus,
    Snapshot,
)

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees this computer's service; the data folder."""
    for name in ("DATA", "CACHE", "MODEL", "CONFIG"):
        monkeypatch.setenv(f"STEMFIX_{name}_DIR", str(tmp_path / name.lower()))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def make_job() -> Callable[..., JobStatus]:
    """`make_job(number, state, name, **fields)`."""

    def make(number: int, state: JobState, name: str = "song.wav", **fields: Any) -> JobStatus:
        given: dict[str, Any] = {
            "job_id": f"job-{number:04}",
            "state": state,
            "priority": "batch",
            "client": "cli",
            "source": f"/music/{name}",
            "preset": "balanced",
            "model": "htdemucs",
            "created_at": NOW - 100.0,
            "folder": "/music/song.stemfix",
        }
        return JobStatus(**(given | fields))

    return make


@pytest.fixture
def make_snapshot(make_job: Callable[..., JobStatus]) -> Callable[..., Snapshot]:
    """`make_snapshot(name="...", jobs=40, **fields)`: two jobs run, `jobs` wait, `jobs` ended."""

    def make(name: str = "song.wav", jobs: int = 40, **fields: Any) -> Snapshot:
        running = {
            "stage": "separate",
            "stage_done": 14,
            "stage_total": 23,
            "fraction": 0.55,
            "eta_s": 42.0,
            "speed_x_realtime": 12.4,
        }
        enhancing = {**running, "stage": "enhance", "stage_done": 1, "stage_total": 5, "fraction": 0.84}
        ends: list[dict[str, Any]] = [
            {"state": JobState.DONE, "verdict": "PASS", "null_rms_db": -141.23},
            {"state": JobState.FAILED, "message": "The file song.mp3 is cut off. Copy it again."},
            {"state": JobState.DONE, "verdict": "WARN", "null_rms_db": -120.0},
            {"state": JobState.CANCELLED},
            {"state": JobState.GAVE_UP},
            {"state": JobState.DONE, "verdict": "FAIL", "null_rms_db": None},
        ]
        queue = QueueStatus(
            counts={
                JobState.RUNNING: 2,
                JobState.QUEUED: 9873,
                JobState.DONE: 412,
                JobState.FAILED: 3,
                JobState.GAVE_UP: 1,
                JobState.CANCELLED: 2,
            },
            waiting_by_priority={"daw": 1, "watched": 4, "batch": 9868},
            running=(
                make_job(1, JobState.RUNNING, name, client="reaper", priority="daw", **running),
                make_job(2, JobState.RUNNING, name, **enhancing),
            ),
            queued=tuple(make_job(100 + at, JobState.QUEUED, f"{at} {name}") for at in range(jobs)),
            ended=tuple(
                make_job(1000 + at, name=f"{at} {name}", ended_at=NOW - 60 * at, **ends[at % len(ends)])
                for at in range(jobs)
            ),
        )
        given: dict[str, Any] = {
            "time": NOW,
            "data_dir": "/data",
            "engine": EngineStatus(
                state="ready",
                since=NOW - 8000,
                pid=1,
                device="cuda",
                model="htdemucs",
                warm=True,
                memory_used_bytes=3_100_000_000,
                memory_free_bytes=8_400_000_000,
            ),
            "queue": queue,
            "folders": (
                FolderStatus(folder=f"/drop/{name}", state="watching", waiting=2, done=140, failed=1),
                FolderStatus(folder="/media/usb", state="missing", message="it is waited for"),
                FolderStatus(folder="/share", state="error", message="permission denied"),
            ),
            "bridges": (
                BridgeStatus(name="reaper", state="connected"),
                BridgeStatus(name="ardour", state="waiting", message="Ardour does not run"),
            ),
        }
        return Snapshot(**(given | fields))

    return make

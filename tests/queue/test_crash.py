"""Engines that die, are stopped or run out of disk: no job is lost or done twice, nothing is left behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OutputError
from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job
from engine.queue.client import QueueClient
from engine.queue.records import JobState, Priority
from engine.queue.trial import AVAILABLE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")

Submit = Callable[..., str]
Hashes = Callable[[Path], dict[str, list[str]]]


def leftovers(*folders: Path) -> list[Path]:
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.rglob("*")
        if path.name.startswith(".") or ".partial" in path.name or path.suffix in (".tmp", ".f32")
    ]


def undisturbed(specs: list[JobSpec], folder: Path, model: Any, hashes: Hashes) -> dict[str, list[str]]:
    for spec in specs:
        run_job(spec.model_copy(update={"out_dir": folder}), models=lambda *_: ModelHandle.of(model))
    return hashes(folder)


def test_a_job_that_kills_the_engine_three_times_is_given_up_and_no_other(
    client: QueueClient, submit: Submit, engine_process: Any, tmp_path: Path, until: Callable[..., None]
) -> None:
    deadly, neighbour = submit("deadly", first=1.0), submit("neighbour")
    (tmp_path / "runs.die").touch()
    for _ in range(3):
        engine_process.start()
        assert engine_process.wait_until_dead() == -signal.SIGKILL
        assert client.wait(deadly, 0).state is JobState.RUNNING
    engine_process.start()
    record = client.wait(deadly, 30)
    assert record.state is JobState.GAVE_UP
    assert record.outcome is not None
    assert "died 3 times" in record.outcome.message
    assert client.wait(neighbour, 30).state is JobState.DONE
    assert sorted(engine_process.count_runs().values()) == [1, 3 + AVAILABLE]
    assert leftovers(tmp_path / "out") == []
    # Its cause removed, the same job is done.
    (tmp_path / "runs.die").unlink()
    assert client.wait(client.retry(deadly), 30).state is JobState.DONE


@pytest.mark.skipif(not AVAILABLE, reason="no trial on this system")
def test_a_job_that_was_only_there_when_the_engine_died_is_done(
    client: QueueClient, submit: Submit, engine_process: Any, tmp_path: Path
) -> None:
    job_id = submit("bystander")
    for _ in range(3):
        client._store.begin_step(job_id, "read", "read begins")
    engine_process.start()
    assert client.wait(job_id, 30).state is JobState.DONE
    assert any("another process" in line for line in client.log(job_id))
    assert list(engine_process.count_runs().values()) == [2]
    assert leftovers(tmp_path / "out") == []


def test_after_a_kill_the_job_goes_on_after_its_last_finished_step(
    client: QueueClient, submit: Submit, engine_process: Any, until: Callable[..., None]
) -> None:
    job_id = submit("song", seconds=4, preset="balanced")
    engine_process.start()
    until(lambda: any("enhance begins" in line for line in client.log(job_id)))
    assert engine_process.end() == -signal.SIGKILL
    assert client.wait(job_id, 0).state is JobState.RUNNING
    engine_process.start()
    assert client.wait(job_id, 60).state is JobState.DONE
    assert list(engine_process.count_runs().values()) == [1]


def test_a_job_cancelled_after_a_kill_never_runs_on(
    client: QueueClient, submit: Submit, engine_process: Any, until: Callable[..., None], tmp_path: Path
) -> None:
    job_id = submit("song", seconds=3)
    engine_process.start(slow=10)
    until(engine_process.count_runs)
    engine_process.end()
    assert client.cancel(job_id)
    engine_process.start(slow=10)
    assert client.wait(job_id, 20).state is JobState.CANCELLED
    assert leftovers(tmp_path / "out") == []


def test_sigterm_ends_the_engine_soon_and_loses_nothing(
    client: QueueClient, submit: Submit, engine_process: Any, until: Callable[..., None]
) -> None:
    job_id = submit("song", seconds=3)
    engine_process.start(slow=1)
    until(engine_process.count_runs)
    assert engine_process.end(signal.SIGTERM) == 0
    assert client.wait(job_id, 0).state is JobState.QUEUED
    engine_process.start()
    assert client.wait(job_id, 30).state is JobState.DONE


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_twenty_ends_at_random_moments_change_no_result(
    number: signal.Signals,
    client: QueueClient,
    make_spec: Callable[..., JobSpec],
    engine_process: Any,
    fake_separator: Any,
    hashes: Hashes,
    tmp_path: Path,
) -> None:
    names = [f"song {index}" for index in range(10)]
    specs = [make_spec(name, seconds=2, stems=("vocals", "drums"), preset="balanced") for name in names]
    expected = undisturbed(specs, tmp_path / "bare", fake_separator, hashes)
    ids = [client.submit(spec, priority=Priority.BATCH, client="test") for spec in specs]
    moments = random.Random(11)
    interrupted = 0
    for _ in range(20):
        engine_process.start(slow=0.3)
        engine_process.wait_until_ready()
        time.sleep(moments.uniform(0.0, 1.5))
        interrupted += any(record.state is JobState.RUNNING for record in client.jobs())
        engine_process.end(number)
    assert interrupted >= 5, "hardly a job was interrupted: the test proved nothing"
    engine_process.start()
    for job_id in ids:
        record = client.wait(job_id, 60)
        assert record.state is JobState.DONE, "\n".join(client.log(job_id))
    assert hashes(tmp_path / "out") == expected
    assert leftovers(tmp_path / "out", tmp_path / "cache") == []


@pytest.mark.slow
def test_two_clients_and_five_hundred_jobs(
    client: QueueClient, make_spec: Callable[..., JobSpec], engine_process: Any, tmp_path: Path
) -> None:
    for index in range(500):
        make_spec(f"{index}", seconds=0.05)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from engine.job import JobSpec\n"
        "from engine.queue.client import QueueClient\n"
        "client, folder = QueueClient(), Path(sys.argv[1])\n"
        "for index in range(int(sys.argv[2]), 500, 2):\n"
        "    client.submit(JobSpec(source=folder / f'{index}.wav', out_dir=folder / 'out' / str(index),\n"
        "        model='fake', preset='none', use_cache=False, stems=('bass',), write_mix=False),\n"
        "        priority=10, client='test')\n"
    )
    engine_process.start()
    clients = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(start)]) for start in range(2)
    ]
    assert [process.wait() for process in clients] == [0, 0]
    end = time.monotonic() + 300
    while client.counts()[JobState.DONE] < 500 and time.monotonic() < end:
        time.sleep(0.2)
    assert client.counts()[JobState.DONE] == 500
    assert len(list((tmp_path / "out").glob("*/*.stemfix"))) == 500
    assert list(engine_process.count_runs().values()) == [1] * 500


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes, where the test may make one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_fails_jobs_with_a_reason_and_loses_none(
    client: QueueClient,
    make_spec: Callable[..., JobSpec],
    engine_process: Any,
    fake_separator: Any,
    hashes: Hashes,
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "small", "24m") as disk:
        specs = [make_spec(f"song {index}", out_dir=disk) for index in range(6)]
        expected = undisturbed(specs, tmp_path / "bare", fake_separator, hashes)
        ballast = disk / "ballast"
        # Enough is free when a job begins, and too little before it ends.
        ballast.write_bytes(bytes(16 * 2**20))
        engine_process.start()
        ids = [client.submit(spec, priority=Priority.BATCH, client="test") for spec in specs]
        records = [client.wait(job_id, 60) for job_id in ids]
        failed = [record for record in records if record.state is not JobState.DONE]
        assert failed
        for record in failed:
            assert record.state is JobState.FAILED
            assert record.outcome is not None
            assert "free" in record.outcome.message or "full" in record.outcome.message
        assert leftovers(disk) == []
        ballast.unlink()
        for record in failed:
            assert client.wait(client.retry(record.job_id), 60).state is JobState.DONE
        assert hashes(disk) == expected
        assert leftovers(disk) == []
        engine_process.end(signal.SIGTERM)


@pytest.mark.slow
def test_a_database_without_room_holds_the_jobs_up_and_loses_none(
    make_spec: Callable[..., JobSpec],
    engine_process: Any,
    fake_separator: Any,
    hashes: Hashes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[..., None],
) -> None:
    specs = [make_spec(f"song {index}") for index in range(4)]
    expected = undisturbed(specs, tmp_path / "bare", fake_separator, hashes)
    with small_disk(tmp_path / "small", "8m") as disk:
        monkeypatch.setenv("STEMFIX_DATA_DIR", str(disk / "data"))
        client = QueueClient()
        ids = [client.submit(spec, priority=Priority.BATCH, client="test") for spec in specs]
        engine_process.start(slow=1)
        until(engine_process.count_runs)
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free))
        with pytest.raises(OutputError, match="Free some space"):
            for _ in range(1000):
                client.retry(ids[0])
        time.sleep(3)
        (disk / "ballast").unlink()
        for job_id in ids:
            assert client.wait(job_id, 60).state is JobState.DONE, client.log(job_id)
        assert hashes(tmp_path / "out") == expected
        engine_process.end(signal.SIGTERM)
        client.close()

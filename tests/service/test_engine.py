"""One engine per data folder; it may be stopped or killed at any moment, and the next one goes on."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.queue.records import JobState
from engine.service.log import log_path
from engine.spool.client import (
    engine_alive,
    heartbeat_path,
    read_heartbeat,
    read_result,
    read_status,
    request_cancel,
)
from engine.spool.models import SpoolStatus

posix = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")


NOTHING = SpoolStatus(job_id="none", state=JobState.QUEUED, time=0.0)


def rewrite_heartbeat(**fields: Any) -> None:
    beat = json.loads(heartbeat_path().read_text())
    heartbeat_path().write_text(json.dumps({**beat, **fields}))


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]


@posix
@pytest.mark.slow
def test_a_killed_engine_is_told_from_a_living_one_and_its_job_ends_in_the_next(studio: Any) -> None:
    first = studio.start(segment_s=0.3)
    assert engine_alive() is not None
    job_id = studio.submit(studio.song(8))
    studio.wait(job_id, JobState.RUNNING)
    first.kill()
    studio.until(lambda: engine_alive() is None)  # a zombie is no engine
    first.wait()
    assert engine_alive() is None
    assert read_heartbeat() is not None, "nobody removes a killed engine's heartbeat"
    second = studio.start()
    assert studio.wait(job_id).state is JobState.DONE
    result = read_result(job_id)
    assert result is not None
    assert len(result.files) == 5
    assert leftovers(studio.out) == []
    second.terminate()
    assert second.wait(30) == 0
    assert leftovers(studio.data / "spool") == []


@posix
@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stopped_engine_leaves_its_job_to_the_next(studio: Any, name: str) -> None:
    first = studio.start(segment_s=0.2)
    job_id = studio.submit(studio.song(6))
    studio.wait(job_id, JobState.RUNNING)
    first.send_signal(getattr(signal, name))
    out, err = first.communicate(timeout=30)
    assert (first.returncode, out, err) == (0, "", "")
    assert not heartbeat_path().exists()
    assert "Stopping" in log_path().read_text()
    assert read_result(job_id) is None
    studio.start()
    assert studio.wait(job_id).state is JobState.DONE
    assert leftovers(studio.out) == []


@posix
@pytest.mark.slow
def test_a_native_call_does_not_hold_a_stop_up(studio: Any) -> None:
    engine = studio.start(segment_s=600)
    job_id = studio.submit(studio.song(2))
    studio.until(lambda: (read_status(job_id) or NOTHING).stage == "separate")
    time.sleep(0.5)  # it sleeps for ten minutes by now
    engine.terminate()
    assert engine.wait(30) == 0
    assert engine_alive() is None
    assert not heartbeat_path().exists()


@posix
@pytest.mark.slow
def test_a_cancel_reaches_a_job_at_work(studio: Any) -> None:
    studio.start(segment_s=0.2)
    job_id = studio.submit(studio.song(60))
    studio.wait(job_id, JobState.RUNNING)
    request_cancel(job_id)
    assert studio.wait(job_id).state is JobState.CANCELLED
    time.sleep(0.3)
    assert not studio.out.exists() or list(studio.out.iterdir()) == []


@pytest.mark.slow
def test_a_second_engine_is_refused_and_told_of_the_first(studio: Any) -> None:
    first = studio.start()
    second = studio.launch()
    out, err = second.communicate(timeout=30)
    assert second.returncode != 0
    assert str(first.pid) in err
    assert "Traceback" not in out + err
    beat = engine_alive()
    assert beat is not None
    assert beat.pid == first.pid


@pytest.mark.slow
def test_a_heartbeat_whose_pid_was_given_away_is_stale(studio: Any) -> None:
    studio.start()
    beat = engine_alive()
    assert beat is not None
    studio.started[0].kill()
    studio.started[0].wait()
    rewrite_heartbeat(pid=os.getpid())
    assert engine_alive() is None
    rewrite_heartbeat(pid=os.getpid(), process_started_at=psutil.Process().create_time())
    assert engine_alive() is not None
    rewrite_heartbeat(pid=2**22 + 1)
    assert engine_alive() is None
    rewrite_heartbeat(host="elsewhere", time=time.time())
    assert engine_alive() is not None
    rewrite_heartbeat(host="elsewhere", time=time.time() - 60)
    assert engine_alive() is None
    heartbeat_path().write_text("nonsense")
    assert engine_alive() is None


@pytest.mark.slow
def test_a_queue_that_can_not_be_opened_is_a_sentence_and_a_traceback_in_the_log(studio: Any) -> None:
    studio.data.mkdir()
    (studio.data / "queue.sqlite").write_bytes(b"this is no database at all, but a text\n" * 100)
    engine = studio.launch()
    out, err = engine.communicate(timeout=30)
    assert engine.returncode != 0
    assert "Traceback" not in out + err
    assert err.startswith("stemfix: ")
    assert "Traceback" in log_path().read_text()
    assert not heartbeat_path().exists()

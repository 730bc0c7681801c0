"""`stemfix jobs`, and `enhance --queue` with a real engine process and a stand-in for the model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stemfix.queued
from engine.job import JobSpec
from engine.queue.client import QueueClient
from engine.queue.records import JobOutcome, JobState, Priority
from engine.spool.client import engine_alive

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_configuration(private_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(private_folders / "config"))


@pytest.fixture
def queue() -> Iterator[QueueClient]:
    with QueueClient() as client:
        yield client


@pytest.fixture
def submit(queue: QueueClient, tmp_path: Path) -> Callable[..., str]:
    """`submit(job_id, state=None)`: a job, ended as `state` if that is given."""

    def make(job_id: str, state: JobState | None = None, message: str = "") -> str:
        spec = JobSpec(source=tmp_path / f"{job_id}.wav", out_dir=tmp_path)
        queue.submit(spec, priority=Priority.BATCH, client="cli", job_id=job_id)
        if state is not None:
            queue._store.finish(job_id, JobOutcome(state=state, message=message), state.value)
        return job_id

    return make


def test_list_shows_the_newest_first_and_only_what_is_asked_for(
    stemfix: Any, submit: Callable[..., str]
) -> None:
    assert stemfix("jobs", "list").out == "The queue is empty.\n"
    submit("a-waits")
    submit("b-failed", JobState.FAILED, "The file b.wav is cut off.")
    submit("c-done", JobState.DONE)
    rows = stemfix("jobs", "list").out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["c-done", "b-failed", "a-waits"]
    assert "The file b.wav is cut off." in rows[1]
    objects = stemfix("jobs", "list", "--json", "--state", "queued", "--state", "failed").objects
    assert [job["job_id"] for job in objects] == ["b-failed", "a-waits"]
    assert [job["job_id"] for job in stemfix("jobs", "list", "--limit", 1, "--json").objects] == ["c-done"]
    assert stemfix("jobs", "list", "--state", "running", "--json").out == ""


def test_an_id_may_be_shortened_as_long_as_it_is_the_only_one(
    stemfix: Any, submit: Callable[..., str]
) -> None:
    submit("song-1")
    submit("song-10")
    submit("other")
    assert stemfix("jobs", "show", "o", "--json").objects[0]["job_id"] == "other"
    assert stemfix("jobs", "show", "song-1", "--json").objects[0]["job_id"] == "song-1"
    outcome = stemfix("jobs", "show", "song")
    assert outcome.status == 2
    assert "song-1, song-10" in outcome.error_lines[0]
    for wrong in ("x", "", "%", "s_ng", "song-1%"):
        assert stemfix("jobs", "show", wrong).status == 2


@pytest.mark.parametrize("verb", ["show", "log", "cancel", "retry"])
def test_no_such_job_is_status_2(stemfix: Any, verb: str) -> None:
    outcome = stemfix("jobs", verb, "nothing")
    assert outcome.status == 2
    assert outcome.error_lines == ["stemfix: There is no job 'nothing'. See: stemfix jobs list"]


def test_show_and_log_tell_what_happened(stemfix: Any, submit: Callable[..., str], tmp_path: Path) -> None:
    submit("song", JobState.FAILED, "The file song.wav is cut off.")
    shown = stemfix("jobs", "show", "song").out
    for words in ("song.wav", str(tmp_path), "failed, The file song.wav is cut off.", "ended"):
        assert words in shown
    assert stemfix("jobs", "log", "song").out.rstrip().endswith("failed")


def test_cancel_and_retry(stemfix: Any, submit: Callable[..., str], queue: QueueClient) -> None:
    submit("first")
    submit("second")
    assert stemfix("jobs", "retry", "first").status == 2
    outcome = stemfix("jobs", "cancel", "first", "nothing", "second")
    assert outcome.status == 2
    assert outcome.out.splitlines() == ["first is being cancelled.", "second is being cancelled."]
    assert queue.counts()[JobState.CANCELLED] == 2
    again = stemfix("jobs", "cancel", "first")
    assert (again.status, again.out) == (0, "first had ended already.\n")
    retried = stemfix("jobs", "retry", "first")
    record = queue.get(retried.out.strip())
    assert record is not None
    assert (record.state, record.retry_of) == (JobState.QUEUED, "first")


def test_clear_forgets_what_has_ended(stemfix: Any, submit: Callable[..., str], queue: QueueClient) -> None:
    submit("waits")
    submit("done", JobState.DONE)
    assert stemfix("jobs", "clear", "--older-than", 1).out == "Forgot 0 jobs.\n"
    assert stemfix("jobs", "clear").out == "Forgot 1 job.\n"
    assert [record.job_id for record in queue.jobs()] == ["waits"]


def test_clear_asks_on_a_terminal(
    stemfix: Any, submit: Callable[..., str], queue: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit("done", JobState.DONE)
    answers = iter([False, True])
    asked: list[str] = []

    def confirm(question: str, abort: bool, err: bool) -> bool:
        import click

        asked.append(question)
        if not next(answers):
            raise click.Abort
        return True

    monkeypatch.setattr("stemfix.console.interactive", lambda: True)
    monkeypatch.setattr("click.confirm", confirm)
    assert stemfix("jobs", "clear").status == 130
    assert len(queue.jobs()) == 1
    assert stemfix("jobs", "clear").status == 0
    assert queue.jobs() == []
    assert asked == ["Forget 1 ended job? Their results stay."] * 2
    submit("another", JobState.DONE)
    assert stemfix("jobs", "clear", "--yes").out == "Forgot 1 job.\n"


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, fake_model: Any) -> list[str]:
    """The model is there, an engine is asked for and never works; the list grows with each time."""
    asked: list[str] = []
    monkeypatch.setattr("engine.service.autostart.ensure_engine", lambda *_: asked.append("engine"))
    monkeypatch.setattr(stemfix.queued, "engine_alive", lambda: True)
    return asked


def test_queue_prints_ids_and_returns(
    stemfix: Any, no_engine: list[str], make_song: Callable[..., Path], queue: QueueClient, tmp_path: Path
) -> None:
    songs = [make_song(f"{name}.wav", seconds=0.1) for name in "ab"]
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    outcome = stemfix(
        "enhance", "--queue", *songs, tmp_path / "bad.wav", "--seed", 5, "--out", tmp_path / "out"
    )
    assert outcome.status == 2
    assert len(outcome.error_lines) == 1
    assert "2 of 3 queued, 1 failed" in outcome.err
    records = [queue.get(job_id) for job_id in outcome.out.splitlines()]
    assert [record.spec.source for record in records if record] == songs
    for record in records:
        assert record is not None
        assert (record.state, record.priority, record.client) == (JobState.QUEUED, Priority.BATCH, "cli")
        assert (record.spec.preset, record.spec.seed, record.spec.out_dir) == (
            "balanced",
            5,
            tmp_path / "out",
        )
    assert no_engine == ["engine"]
    assert not (tmp_path / "out").exists()


def test_queue_as_json_and_separate(
    stemfix: Any, no_engine: list[str], make_song: Callable[..., Path], queue: QueueClient
) -> None:
    song = make_song(seconds=0.1)
    (found,) = stemfix("separate", "--queue", "--json", song).objects
    assert found["source"] == str(song)
    record = queue.get(found["job_id"])
    assert record is not None
    assert (record.spec.preset, record.spec.write_mix) == ("none", False)


def test_a_dry_run_queues_nothing(
    stemfix: Any, no_engine: list[str], make_song: Any, queue: QueueClient
) -> None:
    assert stemfix("enhance", "--queue", "--dry-run", make_song(seconds=0.1)).status == 0
    assert (queue.jobs(), no_engine) == ([], [])


def test_wait_alone_is_refused(stemfix: Any, make_song: Any) -> None:
    outcome = stemfix("enhance", "--wait", make_song(seconds=0.1))
    assert (outcome.status, outcome.error_lines[0][:32]) == (2, "stemfix: --wait goes with --queu")


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_ctrl_c_while_waiting_leaves_the_jobs_in_the_queue(
    stemfix: Any, no_engine: list[str], make_song: Callable[..., Path], queue: QueueClient
) -> None:
    def interrupt() -> None:
        while not queue.jobs():
            threading.Event().wait(0.05)
        threading.Event().wait(1.0)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    outcome = stemfix("enhance", "--queue", "--wait", make_song("a.wav"), make_song("b.wav"))
    thread.join()
    assert outcome.status == 130
    assert outcome.error_lines == [
        "stemfix: No longer waiting; the queue keeps the jobs. See: stemfix status"
    ]
    assert queue.counts()[JobState.QUEUED] == 2


@pytest.fixture
def engine_process(private_folders: Path) -> Iterator[None]:
    """A real engine, with the stand-in for a model."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "service" / "fake_engine.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while (beat := engine_alive()) is None or beat.state != "ready":
        assert process.poll() is None
        time.sleep(0.05)
    yield
    process.terminate()
    process.wait(60)


def test_wait_ends_with_the_table_of_the_direct_run(
    stemfix: Any, fake_model: Any, make_song: Callable[..., Path], tmp_path: Path, engine_process: None
) -> None:
    songs = [make_song(f"{name}.wav", seconds=2.0) for name in "ab"]
    given = ["enhance", *songs, "--preset", "none", "--no-cache"]
    queued = stemfix(*given, "--queue", "--wait", "--out", tmp_path / "queued")
    assert queued.status == 0, queued.err
    assert "2 of 2 done." in queued.err
    direct = stemfix(*given, "--out", tmp_path / "direct")
    assert queued.out.replace("queued", "direct") == direct.out
    again = stemfix(
        "enhance", songs[1], "--preset", "none", "--queue", "--wait", "--json", "--out", tmp_path / "queued"
    )
    (found,) = again.objects
    assert found["already_done"]
    assert found["folder"] == str(tmp_path / "queued" / "b.stemfix")

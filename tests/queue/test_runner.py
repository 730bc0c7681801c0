"""The queue with an engine in this process: results, order, cancel, twins, retries, the log, the end."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job
from engine.progress import STAGES
from engine.queue.client import QueueClient
from engine.queue.records import JobRecord, JobState, Priority
from engine.queue.runner import QueueRunner

Submit = Callable[..., str]
Start = Callable[..., QueueRunner]


@pytest.fixture
def held(fake_separator: Any) -> Any:
    """A stand-in model that waits for `go` before each segment; `order` lists the songs that it was given."""

    class Held(type(fake_separator)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.go = threading.Event()
            self.order: list[float] = []

        def separate(self, audio: Any, seed: int, progress: Any, cancel: Any) -> Any:
            self.order.append(round(float(audio.read(0, 1)[0, 0]), 3))

            def wait() -> None:
                while not self.go.wait(0.01):
                    cancel()
                cancel()

            return super().separate(audio, seed, progress, wait)

    return Held()


def hidden(folder: Path) -> list[Path]:
    return list(folder.glob(".*"))


def test_a_job_delivers_the_bytes_that_run_job_delivers(
    client: QueueClient,
    start_runner: Start,
    make_spec: Callable[..., JobSpec],
    fake_separator: Any,
    hashes: Callable[[Path], dict[str, list[str]]],
    tmp_path: Path,
) -> None:
    spec = make_spec("song", seconds=2, preset="balanced")
    bare = spec.model_copy(update={"out_dir": tmp_path / "bare"})
    result = run_job(bare, models=lambda *_: ModelHandle.of(fake_separator))
    start_runner()
    job_id = client.submit(spec, priority=Priority.DAW, client="cli")
    record = client.wait(job_id, 30)
    assert record.outcome is not None
    assert (record.state, record.outcome.state) == (JobState.DONE, JobState.DONE)
    assert record.outcome.folder == str(tmp_path / "out" / "song.stemfix")
    assert record.outcome.verdict == result.manifest.verdict
    assert record.outcome.null_rms_db == pytest.approx(result.manifest.null_rms_db)
    assert hashes(tmp_path / "out") == hashes(tmp_path / "bare")
    assert record.started_at is not None
    assert record.ended_at is not None
    assert record.created_at <= record.started_at <= record.ended_at
    assert [line.split()[2] for line in client.log(job_id)] == [*STAGES, "done"]
    assert hidden(tmp_path / "out") == []


def test_progress_goes_through_all_stages_and_never_back(
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    held: Any,
    until: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.queue.reporter._WRITE_S", 0.0)
    held.go.set()
    changes: list[JobRecord] = []
    start_runner(held, on_change=changes.append)
    job_id = submit("song", seconds=3)
    client.wait(job_id, 30)
    until(lambda: changes[-1].state.ended)
    progress = [record.progress for record in changes if record.progress and not record.state.ended]
    assert [stage for stage in STAGES if any(step.stage == stage for step in progress)] == list(STAGES)
    fractions = [step.fraction for step in progress]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1
    totals = [step.total for step in progress if step.stage == "separate"]
    assert max(totals) >= 3, "segments, not per cent"
    assert any(step.eta_s is not None for step in progress)
    assert any(step.speed_x_realtime for step in progress)


def test_priority_decides_then_time(
    client: QueueClient, start_runner: Start, submit: Submit, held: Any, until: Callable[..., None]
) -> None:
    start_runner(held)
    first = submit("first", first=0.5)
    until(lambda: held.order)
    names = {
        "batch": Priority.BATCH,
        "late batch": Priority.BATCH,
        "watched": Priority.WATCHED,
        "daw": Priority.DAW,
        "late daw": Priority.DAW,
    }
    ids = [
        submit(name, first=number / 10, priority=priority)
        for number, (name, priority) in enumerate(names.items())
    ]
    held.go.set()
    for job_id in (first, *ids):
        assert client.wait(job_id, 30).state is JobState.DONE
    assert held.order == [0.5, 0.3, 0.4, 0.2, 0.0, 0.1]


def test_one_job_separates_while_another_is_enhanced(
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    fake_separator: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first job's last stages wait until the second has reached the model, and so the other way round."""
    import engine.queue.work as work

    both = threading.Barrier(2, timeout=20)
    order: list[str] = []

    class Meets(type(fake_separator)):  # type: ignore[misc]
        def separate(self, *arguments: Any) -> Any:
            self.runs += 1
            if self.runs == 1:
                both.wait()
            order.append("separate")
            return type(fake_separator).separate(fake_separator, *arguments)

    class Enhances(work.Job):  # type: ignore[misc]
        def enhance(self, *arguments: Any) -> Any:
            if not order[1:]:
                both.wait()
            return super().enhance(*arguments)

    separator = Meets()
    separator.runs = -1
    monkeypatch.setattr(work, "Job", Enhances)
    start_runner(separator)
    ids = [submit("one"), submit("two")]
    assert [client.wait(job_id, 30).state for job_id in ids] == [JobState.DONE] * 2


def test_a_running_job_is_cancelled_within_a_segment(
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    held: Any,
    until: Callable[..., None],
    tmp_path: Path,
) -> None:
    runner = start_runner(held)
    job_id = submit("song", seconds=5)
    until(lambda: held.order)
    assert [record.job_id for record in runner.active()] == [job_id]
    assert client.cancel(job_id)
    record = client.wait(job_id, 10)
    assert record.state is JobState.CANCELLED
    assert record.outcome is not None
    assert record.outcome.exit_status == 130
    assert list((tmp_path / "out").iterdir()) == []
    until(lambda: not runner.active())


def test_a_failure_is_one_sentence_and_a_retry_may_succeed(
    client: QueueClient, start_runner: Start, submit: Submit, tmp_path: Path
) -> None:
    start_runner()
    job_id = submit("song")
    song = tmp_path / "song.wav"
    whole = song.read_bytes()
    client.wait(job_id, 30)
    song.write_bytes(b"this is no audio")
    failed = client.wait(client.retry(job_id), 30)
    assert failed.state is JobState.FAILED
    assert failed.outcome is not None
    assert "song.wav" in failed.outcome.message
    assert failed.outcome.exit_status == 2
    song.write_bytes(whole)
    again = client.wait(client.retry(failed.job_id), 30)
    assert again.state is JobState.DONE
    assert again.outcome is not None
    assert again.outcome.already_done
    assert again.retry_of == failed.job_id
    assert hidden(tmp_path / "out") == []


@pytest.mark.parametrize("place", ["engine.workspace.shutil.disk_usage", "engine.publish.write_audio"])
def test_a_full_disk_is_a_reason_and_a_retry_succeeds(
    place: str,
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Before the first byte, and while the results are written."""

    def full(*arguments: Any, **options: Any) -> Any:
        if place.endswith("disk_usage"):
            return SimpleNamespace(free=0)
        raise OSError(errno.ENOSPC, "No space left on device")

    start_runner()
    with monkeypatch.context() as disk:
        disk.setattr(place, full)
        job_id = submit("song")
        record = client.wait(job_id, 30)
    assert record.state is JobState.FAILED
    assert record.outcome is not None
    assert "ree some space" in record.outcome.message
    assert hidden(tmp_path / "out") == []
    assert client.wait(client.retry(job_id), 30).state is JobState.DONE


def test_a_mistake_of_the_program_is_in_the_log_only(
    client: QueueClient, start_runner: Start, submit: Submit, fake_separator: Any, tmp_path: Path
) -> None:
    class Wrong(type(fake_separator)):  # type: ignore[misc]
        def separate(self, *arguments: Any) -> Any:
            raise ZeroDivisionError("one over nothing")

    start_runner(Wrong())
    record = client.wait(submit("song"), 30)
    assert record.state is JobState.FAILED
    assert record.outcome is not None
    assert record.outcome.message == "internal error: ZeroDivisionError: one over nothing"
    assert "Traceback" in "\n".join(client.log(record.job_id))
    assert hidden(tmp_path / "out") == []


def test_two_jobs_that_deliver_the_same_are_done_once(
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    held: Any,
    until: Callable[..., None],
    tmp_path: Path,
) -> None:
    start_runner(held, cpu_workers=2)
    ids = [submit("song") for _ in range(3)]
    until(lambda: held.order)
    held.go.set()
    outcomes = [client.wait(job_id, 30).outcome for job_id in ids]
    assert [outcome.already_done for outcome in outcomes if outcome] == [False, True, True]
    assert len({outcome.folder for outcome in outcomes if outcome}) == 1
    assert len(held.order) == 1
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_stop_leaves_a_job_to_the_next_start(
    client: QueueClient, start_runner: Start, submit: Submit, held: Any, until: Callable[..., None]
) -> None:
    runner = start_runner(held)
    ids = [submit("one", first=0.25), submit("two", first=0.75)]
    until(lambda: held.order)
    for _ in range(4):  # more often than a job may be cut off by a crash
        runner.stop()
        assert client.counts()[JobState.QUEUED] == 2
        runs = len(held.order)
        runner = start_runner(held)
        until(lambda runs=runs: len(held.order) > runs)
    held.go.set()
    assert [client.wait(job_id, 30).state for job_id in ids] == [JobState.DONE] * 2
    assert held.order == [0.25] * 5 + [0.75]
    assert sum("read begins" in line for line in client.log(ids[0])) == 1, "a finished step is not repeated"


def test_equals_are_done_in_the_order_they_came_whatever_their_ids(
    client: QueueClient, start_runner: Start, make_spec: Callable[..., JobSpec], held: Any
) -> None:
    firsts = [0.1, 0.2, 0.3, 0.4]
    for job_id, first in zip("zmya", firsts, strict=True):  # all within one second
        client.submit(make_spec(job_id, first=first), priority=Priority.BATCH, client="x", job_id=job_id)
    held.go.set()
    start_runner(held)
    assert all(client.wait(job_id, 60).state is JobState.DONE for job_id in "zmya")
    assert held.order == firsts


def test_a_job_cancelled_while_no_engine_runs_leaves_nothing(
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    held: Any,
    until: Callable[..., None],
    tmp_path: Path,
) -> None:
    runner = start_runner(held)
    job_id = submit("song")
    until(lambda: held.order)
    runner.stop()
    assert hidden(tmp_path / "out"), "its work folder waits for it"
    assert client.cancel(job_id)
    assert client.wait(job_id, 0).state is JobState.CANCELLED
    start_runner(held)
    until(lambda: not hidden(tmp_path / "out"))


def test_what_ended_is_tidied_out_of_the_schedule(
    client: QueueClient, start_runner: Start, submit: Submit, until: Callable[..., None]
) -> None:
    start_runner()
    job_id = submit("song")
    assert client.wait(job_id, 30).state is JobState.DONE

    def workflows() -> int:
        with client._store.database.connect() as connection:
            return int(connection.execute(sa.text("SELECT count(*) FROM workflow_status")).scalar_one())

    until(lambda: workflows() == 0)
    assert client.wait(job_id, 0).state is JobState.DONE
    assert (
        client.submit(client.wait(job_id, 0).spec, priority=Priority.DAW, client="x", job_id=job_id) == job_id
    )


def test_a_preset_that_changes_on_the_way_is_noticed(
    client: QueueClient,
    start_runner: Start,
    submit: Submit,
    held: Any,
    until: Callable[..., None],
    tmp_path: Path,
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('description = "mine"\n[[vocals]]\neffect = "gate"\n')
    runner = start_runner(held)
    job_id = submit("song", preset=str(mine))
    until(lambda: held.order)
    runner.stop()
    mine.write_text('description = "mine"\n')
    held.go.set()
    start_runner(held)
    record = client.wait(job_id, 30)
    assert record.state is JobState.FAILED
    assert record.outcome is not None
    assert "stemfix jobs retry" in record.outcome.message
    assert client.wait(client.retry(job_id), 30).state is JobState.DONE


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_in_place_of_the_work_folder_is_not_followed(
    client: QueueClient, start_runner: Start, make_spec: Callable[..., JobSpec], tmp_path: Path
) -> None:
    spec = make_spec("song")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".song.stemfix.job-known").symlink_to(elsewhere)
    client.submit(spec, priority=Priority.DAW, client="spool", job_id="known")
    start_runner()
    record = client.wait("known", 30)
    assert record.state is JobState.FAILED
    assert record.outcome is not None
    assert "is a link" in record.outcome.message
    assert list(elsewhere.iterdir()) == []


def test_the_engine_prints_nothing(
    client: QueueClient, start_runner: Start, submit: Submit, capfd: pytest.CaptureFixture[str]
) -> None:
    runner = start_runner()
    client.wait(submit("song"), 30)
    runner.stop()
    assert capfd.readouterr() == ("", "")

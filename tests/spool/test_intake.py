"""The intake: every job is taken once, its folder tells the truth, and nothing else is touched."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OptionError
from engine.queue.records import JobOutcome, JobState
from engine.spool import scan
from engine.spool.client import (
    new_job_id,
    read_result,
    read_status,
    remove_job,
    request_cancel,
    write_job,
)
from engine.spool.intake import Intake
from engine.spool.models import SpoolJob, SpoolStatus

Make = Callable[..., SpoolJob]
posix = pytest.mark.skipif(os.name == "nt", reason="links and modes as POSIX has them")


def status(job_id: str) -> SpoolStatus:
    found = read_status(job_id)
    assert found is not None
    return found


def raw_job(spool: Path, name: str, text: str) -> Path:
    folder = spool / name
    folder.mkdir(mode=0o700)
    (folder / "job.json").write_text(text)
    return folder


def test_a_job_is_taken_and_its_folder_follows_the_queue(intake: Intake, queue: Any, job: Make) -> None:
    job_id = write_job(job(start_frame=5, client="reaper"))
    assert read_status(job_id) is None
    intake.poll()
    assert queue.jobs[job_id].spec == job(start_frame=5).spec()
    assert (status(job_id).state, status(job_id).message) == (JobState.QUEUED, "Waiting for its turn.")
    intake.changed(queue.progress(job_id, 3, 10))
    intake.poll()
    running = status(job_id)
    assert (running.state, running.stage, running.progress) == (JobState.RUNNING, "separate", 0.3)
    assert (running.eta_s, running.message) == (1.5, "Separating (3 of 10).")
    intake.changed(queue.end(job_id, JobOutcome(state=JobState.DONE, verdict="PASS")))
    intake.poll()
    assert (status(job_id).state, status(job_id).progress) == (JobState.DONE, 1.0)
    result = read_result(job_id)
    assert result is not None
    assert (result.state, result.verdict) == (JobState.DONE, "PASS")


def test_a_job_that_the_runner_says_nothing_of_is_asked_after(intake: Intake, queue: Any, job: Make) -> None:
    ids = [write_job(job()) for _ in range(5)]
    intake.poll()
    for job_id in ids:
        queue.end(job_id, JobOutcome(state=JobState.CANCELLED))
    for _ in ids:
        intake.poll()
    assert {status(job_id).state for job_id in ids} == {JobState.CANCELLED}


def test_a_running_status_is_written_four_times_a_second_at_most(
    intake: Intake, queue: Any, job: Make, spool: Path
) -> None:
    job_id = write_job(job())
    intake.poll()
    intake.changed(queue.progress(job_id, 0, 1000))
    intake.poll()
    written, began = set(), time.monotonic()
    for count in range(1, 200):
        intake.changed(queue.progress(job_id, count, 1000))
        intake.poll()
        written.add((spool / job_id / "status.json").stat().st_mtime_ns)
    assert len(written) <= 2 + (time.monotonic() - began) / 0.25


def test_the_result_is_there_before_the_status_says_so(
    intake: Intake, queue: Any, job: Make, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.spool import intake as module

    job_id = write_job(job())
    intake.poll()
    order = []
    write = module.write_private
    monkeypatch.setattr(
        module, "write_private", lambda path, data: (order.append(path.name), write(path, data))
    )
    intake.changed(queue.end(job_id, JobOutcome(state=JobState.DONE)))
    intake.poll()
    assert order == ["result.json", "status.json"]


def test_a_cancel_file_stops_a_job(intake: Intake, queue: Any, job: Make) -> None:
    job_id = write_job(job())
    intake.poll()
    request_cancel(job_id)
    intake.poll()
    assert status(job_id).state is JobState.CANCELLED
    assert read_result(job_id).exit_status == 130  # type: ignore[union-attr]


def test_a_job_cancelled_before_it_was_taken_never_starts(intake: Intake, queue: Any, job: Make) -> None:
    job_id = write_job(job())
    request_cancel(job_id)
    intake.poll()
    assert (status(job_id).state, queue.submits) == (JobState.CANCELLED, 0)


def test_a_new_intake_mirrors_what_became_of_the_jobs(
    intake: Intake, queue: Any, job: Make, spool: Path
) -> None:
    ended, running, before = (write_job(job()) for _ in range(3))
    intake.poll()
    queue.end(before, JobOutcome(state=JobState.DONE))
    intake.changed(queue.jobs[before])
    intake.poll()
    submits = queue.submits
    queue.end(ended, JobOutcome(state=JobState.FAILED, message="No.", exit_status=2))
    queue.progress(running, 1, 2)
    Intake(queue).poll()
    assert status(ended).message == "No."
    assert status(running).progress == 0.5
    assert queue.submits == submits + 2, "the job that had ended was submitted again"


def test_a_job_that_the_queue_forgot_ends(intake: Intake, queue: Any, job: Make) -> None:
    job_id = write_job(job())
    intake.poll()
    queue.jobs.clear()
    intake.poll()
    assert status(job_id).state is JobState.FAILED


def test_a_newer_version_is_refused_in_the_status(intake: Intake, queue: Any, spool: Path) -> None:
    raw_job(spool, "new", '{"spool_version": "2.0", "source": "/a.wav", "out_dir": "/b"}')
    intake.poll()
    assert status("new").state is JobState.FAILED
    assert "spool_version 2.0" in status("new").message
    assert "Update stemfix" in status("new").message
    assert queue.submits == 0


def test_what_the_queue_refuses_fails_with_its_words(intake: Intake, queue: Any, job: Make) -> None:
    queue.broken = OptionError("That does not go.", "Try another way.")
    job_id = write_job(job())
    intake.poll()
    assert status(job_id).message == "That does not go. Try another way."


def test_a_database_that_fails_delays_and_loses_nothing(
    intake: Intake, queue: Any, job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.spool.intake._PAUSE_S", 0.0)
    ids = [write_job(job()) for _ in range(3)]
    queue.broken = RuntimeError("database is locked")
    for _ in range(3):
        intake.poll()
    assert [read_status(job_id) for job_id in ids] == [None] * 3
    queue.broken = None
    for _ in range(3):
        intake.poll()
    assert {status(job_id).state for job_id in ids} == {JobState.QUEUED}
    assert queue.submits == 3


def test_half_a_job_is_waited_for(intake: Intake, queue: Any, job: Make, spool: Path) -> None:
    text = job().model_dump_json()
    folder = raw_job(spool, "slow", text[:40])
    intake.poll()
    assert (read_status("slow"), queue.submits) == (None, 0)
    (folder / "job.json").write_text(text)
    intake.poll()
    assert status("slow").state is JobState.QUEUED


def test_a_job_that_stays_half_fails_with_a_sentence(
    intake: Intake, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_job(spool, "broken", '{"spool_version": ')
    intake.poll()
    monkeypatch.setattr("engine.spool.intake._PATIENCE_S", 0.0)
    intake.poll()
    assert status("broken").state is JobState.FAILED
    assert "not JSON" in status("broken").message


def test_an_empty_folder_waits_for_its_job(intake: Intake, queue: Any, job: Make, spool: Path) -> None:
    (spool / "later").mkdir(mode=0o700)
    intake.poll()
    (spool / "later" / "job.json").write_text(job().model_dump_json())
    intake.poll()
    assert status("later").state is JobState.QUEUED


def test_a_folder_prepared_under_a_hidden_name(intake: Intake, job: Make, spool: Path) -> None:
    raw_job(spool, ".ready-soon", job().model_dump_json())
    intake.poll()
    (spool / ".ready-soon").rename(spool / "ready")
    intake.poll()
    assert status("ready").state is JobState.QUEUED
    assert not (spool / ".ready-soon").exists()


@posix
def test_links_and_strange_names_are_left_alone_and_logged_once(
    intake: Intake, queue: Any, job: Make, spool: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "job.json").write_text(job().model_dump_json())
    (spool / "link").symlink_to(outside)
    (spool / "file").write_text("")
    raw_job(spool, "no spaces", job().model_dump_json())
    raw_job(spool, "-dash", job().model_dump_json())
    raw_job(spool, "x" * 65, job().model_dump_json())
    for _ in range(3):
        intake.poll()
    assert queue.submits == 0
    assert sorted(path.name for path in outside.iterdir()) == ["job.json"]
    assert sorted(path.name for path in (spool / "no spaces").iterdir()) == ["job.json"]
    assert len(caplog.records) == 5


@posix
def test_a_folder_of_somebody_else_is_left_alone(
    intake: Intake, queue: Any, job: Make, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_job(spool, "theirs", job().model_dump_json())
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    intake.poll()
    assert (queue.submits, os.listdir(spool / "theirs")) == (0, ["job.json"])


@posix
@pytest.mark.parametrize("kind", ["link", "fifo", "large", "folder"])
def test_a_job_file_of_another_kind_is_refused(
    kind: str, intake: Intake, queue: Any, job: Make, spool: Path, tmp_path: Path
) -> None:
    folder = spool / "odd"
    folder.mkdir(mode=0o700)
    secret = tmp_path / "secret.json"
    secret.write_text(job().model_dump_json())
    if kind == "link":
        (folder / "job.json").symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(folder / "job.json")
    elif kind == "folder":
        (folder / "job.json").mkdir()
    else:
        (folder / "job.json").write_text(job().model_dump_json() + " " * 1_000_001)
    intake.poll()
    assert (status("odd").state, queue.submits) == (JobState.FAILED, 0)


@posix
def test_nothing_is_written_through_a_link(
    intake: Intake, queue: Any, job: Make, spool: Path, tmp_path: Path
) -> None:
    victims = [tmp_path / name for name in ("one", "two", "three")]
    for victim in victims:
        victim.write_text("mine")
    folder = raw_job(spool, "trap", job().model_dump_json())
    for name, victim in zip(("status.json", "result.json", ".status.json.tmp"), victims, strict=True):
        (folder / name).symlink_to(victim)
    intake.poll()
    intake.changed(queue.end("trap", JobOutcome(state=JobState.DONE)))
    intake.poll()
    assert status("trap").state is JobState.DONE
    assert [victim.read_text() for victim in victims] == ["mine"] * 3


@posix
def test_one_folder_that_can_not_be_written_holds_nobody_up(
    intake: Intake, queue: Any, job: Make, spool: Path
) -> None:
    raw_job(spool, "b-blocked", job().model_dump_json())
    (spool / "b-blocked" / "status.json").mkdir()
    others = [write_job(job(), name) for name in ("a", "c")]
    intake.poll()
    assert {status(name).state for name in others} == {JobState.QUEUED}
    assert set(queue.jobs) == {"a", "b-blocked", "c"}


@posix
def test_everything_is_private(intake: Intake, queue: Any, job: Make, data: Path, spool: Path) -> None:
    job_id = write_job(job())
    request_cancel(job_id)
    intake.poll()
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (spool, *spool.rglob("*"))}
    assert all(mode == (0o700 if path.is_dir() else 0o600) for path, mode in modes.items()), modes
    assert len(modes) == 6  # the two folders, job, status, result, cancel


@posix
def test_a_client_makes_the_spool_private_and_tightens_a_loose_one(data: Path, job: Make) -> None:
    (data / "spool").mkdir(parents=True)
    (data / "spool").chmod(0o777)
    write_job(job())
    assert stat.S_IMODE((data / "spool").stat().st_mode) == 0o700


def test_a_removed_folder_is_forgotten_and_comes_back_as_new(intake: Intake, queue: Any, job: Make) -> None:
    job_id = write_job(job())
    intake.poll()
    remove_job(job_id)
    intake.poll()
    intake.changed(queue.end(job_id, JobOutcome(state=JobState.DONE)))
    intake.poll()
    assert read_status(job_id) is None
    write_job(job(), job_id)
    intake.poll()
    assert status(job_id).state is JobState.DONE


def test_old_folders_are_looked_at_once(
    intake: Intake, queue: Any, job: Make, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.spool import intake as module

    monkeypatch.setattr(scan, "_FINE_TICK_S", 0.0)
    ended = SpoolStatus(job_id="x", state=JobState.DONE, time=0.0).model_dump_json()
    for number in range(300):
        folder = raw_job(spool, f"old-{number}", job().model_dump_json())
        (folder / "status.json").write_text(ended)
    reads: list[Path] = []
    read = module.read_private
    monkeypatch.setattr(
        module, "read_private", lambda path, limit: (reads.append(path), read(path, limit))[1]
    )
    for _ in range(20):
        intake.poll()
    assert len(reads) == 300
    assert queue.submits == 0
    looks: list[bool] = []
    monkeypatch.setattr(scan.SpoolScan, "_look", lambda self, deep: looks.append(deep) or [])
    time.sleep(0.01)
    for _ in range(20):
        intake.poll()
    assert looks == []


def test_a_folder_made_in_the_same_tick_as_a_look_is_found(
    intake: Intake, queue: Any, job: Make, spool: Path
) -> None:
    stamp = time.time_ns()
    os.utime(spool, ns=(stamp, stamp))
    intake.poll()
    job_id = write_job(job())
    os.utime(spool, ns=(stamp, stamp))
    time.sleep(0.1)
    intake.poll()
    assert status(job_id).state is JobState.QUEUED


def test_ended_folders_go_after_a_month_and_no_earlier(
    intake: Intake, queue: Any, job: Make, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young, waiting = (write_job(job()) for _ in range(3))
    intake.poll()
    for job_id in (old, young):
        intake.changed(queue.end(job_id, JobOutcome(state=JobState.DONE)))
    intake.poll()
    for job_id in (old, waiting):
        os.utime(spool / job_id, (0, time.time() - scan.KEEP_ENDED_S - 60))
    later = Intake(queue)
    later.poll()
    monkeypatch.setattr(scan, "_DEEP_EVERY_S", -1.0)
    later.poll()
    assert {path.name for path in spool.iterdir()} == {young, waiting}


def test_ids_sort_by_time_and_differ(job: Make) -> None:
    ids = [new_job_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [name[:19] for name in ids] == sorted(name[:19] for name in ids)


@pytest.mark.parametrize("job_id", ["../up", "", "a/b", "a b", "x" * 65, ".", "-a"])
def test_ids_that_could_leave_the_spool_are_refused(job_id: str, job: Make) -> None:
    for call in (read_status, read_result, request_cancel, remove_job):
        with pytest.raises(OptionError, match="id"):
            call(job_id)
    if job_id:
        with pytest.raises(OptionError, match="id"):
            write_job(job(), job_id)


def test_an_id_is_used_once(job: Make) -> None:
    job_id = write_job(job())
    with pytest.raises(OptionError, match=job_id):
        write_job(job(), job_id)


def test_what_is_written_is_plain_json(intake: Intake, job: Make, spool: Path) -> None:
    job_id = write_job(job())
    intake.poll()
    assert json.loads((spool / job_id / "status.json").read_text())["state"] == "queued"

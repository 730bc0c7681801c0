from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.queue.records import JobState, Priority
from watchers.follower import results_hold

Audio = Callable[..., bytes]
MakeBench = Callable[..., Any]


def dropped(b: Any, audio: Audio, name: str = "a.wav", seed: int = 0) -> str:
    """The id of the job that a new file gets."""
    (b.folder / name).write_bytes(audio(seed))
    b.pass_s()
    return next(job_id for job_id, record in b.queue.records.items() if record.spec.source.name == name)


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.GAVE_UP])
def test_a_failed_file_gets_a_note_and_no_second_try(bench: MakeBench, audio: Audio, state: JobState) -> None:
    b = bench()
    b.queue.fail(dropped(b, audio), "The weights of 'x' are not installed.", state)
    b.pass_s(500, step=5)
    b.restart()
    b.pass_s(500, step=5)
    assert len(b.queue.submissions) == 1
    assert (b.state("a.wav"), b.watch.status().failed) == ("failed", 1)
    note = (b.folder / "a.wav.stemfix-failed.txt").read_text()
    assert "The weights of 'x' are not installed." in note
    assert f"stemfix jobs retry {b.queue.submissions[0]}" in note


def test_a_failed_file_is_tried_again_when_it_changes(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    b.queue.fail(dropped(b, audio), "No.")
    b.pass_s()
    os.utime(b.folder / "a.wav", (1e9, 1e9))  # a touch will do
    b.pass_s()
    assert len(b.queue.submissions) == 2
    assert not (b.folder / "a.wav.stemfix-failed.txt").exists()
    b.queue.fail(b.queue.submissions[1], "No.")
    b.pass_s()
    (b.folder / "a.wav").write_bytes(audio(9))
    b.pass_s()
    assert len(b.queue.submissions) == 3


def test_a_retry_of_the_user_counts_for_the_file(bench: MakeBench, audio: Audio) -> None:
    b = bench(when_done="move")
    first = dropped(b, audio)
    b.queue.fail(first, "No.")
    b.pass_s()
    spec = b.queue.records[first].spec
    b.queue.submit(spec, priority=Priority.WATCHED, client="watch", job_id="retry", retry_of=first)
    b.pass_s(2)
    assert b.state("a.wav") == "queued"
    b.queue.finish("retry")
    b.pass_s()
    assert "done/a.wav" in b.names()
    assert not (b.folder / "a.wav.stemfix-failed.txt").exists()


def test_a_cancelled_file_is_left_alone(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    b.queue.cancel(dropped(b, audio))
    b.pass_s(200)
    assert b.state("a.wav") == "cancelled"
    assert len(b.queue.submissions) == 1
    assert b.names() == ["a.wav"]


def test_the_same_content_shares_the_failure(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    job = dropped(b, audio)
    (b.folder / "b.wav").write_bytes(audio())
    b.pass_s()
    b.queue.fail(job, "No.")
    b.pass_s(100)
    assert {"a.wav.stemfix-failed.txt", "b.wav.stemfix-failed.txt"} <= set(b.names())
    (b.folder / "c.wav").write_bytes(audio())  # but a new drop is a new try
    b.pass_s()
    assert b.queue.sources == ["a.wav", "c.wav"]


def test_a_file_that_was_replaced_does_not_get_the_old_files_failure(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    job = dropped(b, audio)
    (b.folder / "a.wav").write_bytes(audio(2))
    b.queue.fail(job, "The file is cut off.")
    b.watch.hints.take()
    b.pass_s()
    assert len(b.queue.submissions) == 2
    assert b.names() == ["a.wav"]


def test_jobs_that_the_queue_forgot_are_handed_over_again(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    dropped(b, audio)
    b.queue.records.clear()
    b.pass_s()
    assert len(set(b.queue.submissions)) == 2
    assert b.state("a.wav") == "queued"


def test_a_done_file_is_kept_by_default(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    b.queue.finish(dropped(b, audio))
    b.pass_s(100)
    assert (b.folder / "a.wav").read_bytes() == audio()
    assert not (b.folder / "done").exists()
    assert b.watch.status().done == 1


def test_a_done_file_is_moved_if_asked_and_never_onto_another(bench: MakeBench, audio: Audio) -> None:
    b = bench(when_done="move", recursive=True)
    for seed in (1, 2):
        (b.folder / "album").mkdir(exist_ok=True)
        (b.folder / "album" / "a.wav").write_bytes(audio(seed))
        b.pass_s()
        job = b.queue.submissions[-1]
        assert (b.folder / "album" / "a.wav").exists()
        b.queue.finish(job)
        b.pass_s()
    assert (b.folder / "done" / "album" / "a.wav").read_bytes() == audio(1)
    assert (b.folder / "done" / "album" / "a-2.wav").read_bytes() == audio(2)
    assert not (b.folder / "album" / "a.wav").exists()
    b.pass_s(200)
    assert len(b.queue.submissions) == 2


def test_the_same_file_dropped_again_is_moved_too(bench: MakeBench, audio: Audio) -> None:
    b = bench(when_done="move")
    b.queue.finish(dropped(b, audio))
    b.pass_s()
    for name in ("a.wav", "b.wav"):
        (b.folder / name).write_bytes(audio())
    b.pass_s(20)
    assert len(b.queue.submissions) == 1
    assert sorted(path.name for path in (b.folder / "done").iterdir()) == ["a-2.wav", "a.wav", "b.wav"]


def test_a_file_stays_where_its_results_do_not_hold(bench: MakeBench, audio: Audio) -> None:
    b = bench(when_done="move")
    results = b.queue.finish(dropped(b, audio))
    stem = results / "a-vocals.wav"
    whole = stem.read_bytes()
    stem.write_bytes(b"damaged")
    assert not results_hold(str(results))
    b.pass_s()
    assert (b.folder / "a.wav").exists()
    assert "not whole" in b.watch.status().message
    stem.write_bytes(whole)
    b.restart()
    b.pass_s()
    assert (b.folder / "done" / "a.wav").exists()


def test_a_file_that_changed_since_is_not_moved(bench: MakeBench, audio: Audio) -> None:
    b = bench(when_done="move")
    job = dropped(b, audio)
    b.queue.start(job, "publish")
    (b.folder / "a.wav").write_bytes(audio(2))
    b.queue.finish(job)
    b.pass_s()
    assert (b.folder / "a.wav").read_bytes() == audio(2)
    assert len(b.queue.submissions) == 2
    b.queue.finish(b.queue.submissions[1])
    b.pass_s()
    assert (b.folder / "done" / "a.wav").read_bytes() == audio(2)


def test_where_moving_fails_the_file_stays_and_it_is_said(
    bench: MakeBench, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    b = bench(when_done="move")
    job = dropped(b, audio)
    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "rename", refuse)
    b.queue.finish(job)
    b.pass_s()
    assert (b.folder / "a.wav").exists()
    assert "stays" in b.watch.status().message
    monkeypatch.undo()
    b.pass_s()
    assert (b.folder / "done" / "a.wav").exists()


def test_one_that_can_not_be_moved_does_not_hold_up_the_others(bench: MakeBench, audio: Audio) -> None:
    b = bench(when_done="move")
    for number in range(4):
        dropped(b, audio, f"{number}.wav", number)
    results = [b.queue.finish(job_id) for job_id in b.queue.submissions]
    for folder in results:
        folder.rename(folder.with_name("away-" + folder.name))  # as when their disk is away
    b.pass_s()
    assert b.watch.status().done == 4
    for folder in results[1:]:
        folder.with_name("away-" + folder.name).rename(folder)
    b.pass_s()
    assert sorted(path.name for path in (b.folder / "done").iterdir()) == ["1.wav", "2.wav", "3.wav"]
    assert (b.folder / "0.wav").exists()


def test_where_no_note_can_be_written_the_status_has_the_reason(
    bench: MakeBench, audio: Audio, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()
    job = dropped(b, audio)
    real = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.parent == b.folder:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", refuse)
    b.queue.fail(job, "The reason.")
    b.pass_s()
    assert "The reason." in b.watch.status().message
    assert "No note" in b.watch.status().message


def test_few_questions_are_asked_while_many_jobs_wait(bench: MakeBench, audio: Audio) -> None:
    b = bench()
    for number in range(60):
        (b.folder / f"{number}.wav").write_bytes(audio(number, seconds=0.05))
    b.pass_s()
    assert len(b.queue.records) == 60
    b.queue.gets = 0
    b.pass_s(20)
    assert b.queue.gets <= 8 * 11
    for job_id in list(b.queue.records)[30:]:
        b.queue.finish(job_id)
    b.pass_s(60)
    assert b.watch.status().done == 30  # those behind one that takes long are found too

"""`stemfix status` in a pipe: text and JSON. On a terminal: tests/monitor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OutputError
from engine.job import JobSpec
from engine.queue.client import QueueClient
from engine.queue.records import JobOutcome, JobState, Priority
from stemfix.monitor.feed import read_queue
from stemfix.monitor.snapshot import STATUS_VERSION, Snapshot


@pytest.fixture(autouse=True)
def no_configuration(private_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(private_folders / "config"))


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., list[str]]:
    """`fill(queued=..., done=...)` puts jobs into the queue; returns the ids of those that wait."""

    def make(queued: int = 0, done: int = 0, priority: Priority = Priority.BATCH) -> list[str]:
        with QueueClient() as queue:
            ids = [
                queue.submit(
                    JobSpec(source=tmp_path / f"song {at}.wav", out_dir=tmp_path),
                    priority=priority,
                    client="cli",
                )
                for at in range(queued + done)
            ]
            for job_id in ids[queued:]:
                outcome = JobOutcome(
                    state=JobState.DONE,
                    folder=str(tmp_path / "x.stemfix"),
                    verdict="PASS",
                    null_rms_db=-141.25,
                )
                queue._store.finish(job_id, outcome, "done")
        return ids[:queued]

    return make


@pytest.mark.parametrize("arguments", [[], ["--once"]])
def test_a_fresh_installation_as_text(stemfix: Any, arguments: list[str]) -> None:
    outcome = stemfix("status", *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "Engine stopped",
        "  Start it: stemfix up. Jobs wait in the queue until then.",
        "Running: none",
        "Queue: empty",
        "Results: none yet",
        "Watched folders: none",
        "Bridges: none",
    ]


def test_jobs_as_text_with_whole_names_and_ids(stemfix: Any, fill: Callable[..., list[str]]) -> None:
    (job_id,) = fill(queued=1, done=2)
    out = stemfix("status").out
    assert "\x1b" not in out
    assert f"  batch  song 0.wav  balanced, from cli, now  ({job_id})" in out
    assert "Queue: 1 waiting, 1 batch" in out
    assert "Results: 2 done" in out
    assert "  done  PASS  song 2.wav  null -141.2 dB  now" in out


def test_json_is_one_object_that_the_model_reads_back(stemfix: Any, fill: Callable[..., list[str]]) -> None:
    waiting = fill(queued=2, done=1)
    (found,) = stemfix("status", "--json").objects
    snapshot = Snapshot.model_validate(found)
    assert found["status_version"] == STATUS_VERSION == "1.0"
    assert found["engine"]["state"] == "stopped"
    assert found["queue"]["counts"] == {
        "queued": 2, "running": 0, "done": 1, "failed": 0, "cancelled": 0, "gave_up": 0,
    }  # fmt: skip
    assert found["queue"]["waiting_by_priority"] == {"daw": 0, "watched": 0, "batch": 2}
    assert snapshot.queue is not None
    assert [job.job_id for job in snapshot.queue.queued] == waiting
    assert found["queue"]["ended"][0]["null_rms_db"] == -141.25


def test_the_manual_names_every_field(stemfix: Any) -> None:
    page = (Path(__file__).parents[2] / "docs" / "monitor.md").read_text(encoding="utf-8")
    schema = json.dumps(Snapshot.model_json_schema())
    for part in [Snapshot.model_json_schema(), *Snapshot.model_json_schema()["$defs"].values()]:
        for name in part.get("properties", {}):
            assert f"`{name}`" in page, name
    assert "QueueStatus" in schema


def test_the_queue_is_in_the_order_of_turns_and_lists_are_short(fill: Callable[..., list[str]]) -> None:
    later = fill(queued=150)
    urgent = fill(queued=1, priority=Priority.DAW)
    with QueueClient() as queue:
        found = read_queue(queue)
    assert [job.job_id for job in found.queued] == [*urgent, *later[:99]]
    assert found.count(JobState.QUEUED) == 151


def test_lists_are_read_again_when_a_count_has_changed(fill: Callable[..., list[str]]) -> None:
    (first, second) = fill(queued=2)
    with QueueClient() as queue:
        before = read_queue(queue)
        assert read_queue(queue, before).queued is before.queued
        queue.cancel(first)
        after = read_queue(queue, before)
    assert [job.job_id for job in after.queued] == [second]
    assert [job.job_id for job in after.ended] == [first]


def test_a_queue_that_cannot_be_read_is_status_2_and_told(
    stemfix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(queue: QueueClient) -> None:
        raise OutputError("The disk is gone.", "Bring it back.")

    monkeypatch.setattr(QueueClient, "counts", fail)
    outcome = stemfix("status")
    assert outcome.status == 2
    assert "Queue: The disk is gone. Bring it back." in outcome.out
    outcome = stemfix("status", "--json")
    assert outcome.status == 2
    assert outcome.objects[0]["queue"]["problem"] == "The disk is gone. Bring it back."


def test_a_configuration_with_a_mistake_is_refused(stemfix: Any, private_folders: Path) -> None:
    folder = private_folders / "config"
    folder.mkdir()
    (folder / "config.toml").write_text("[engine]\nidle_hours = 3\n")
    outcome = stemfix("status")
    assert outcome.status == 2
    assert "line 2" in outcome.error_lines[0]

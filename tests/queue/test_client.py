"""The queue as its clients see it, with no engine at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine.errors import OptionError
from engine.job import JobSpec
from engine.queue.client import QueueClient
from engine.queue.records import JobState, Priority
from engine.queue.store import JobStore

Submit = Callable[..., str]


def test_a_job_is_there_once_it_was_submitted(client: QueueClient, make_spec: Callable[..., JobSpec]) -> None:
    spec = make_spec("song")
    job_id = client.submit(spec, priority=Priority.DAW, client="reaper")
    with QueueClient() as other:
        record = other.get(job_id)
    assert record is not None
    assert (record.spec, record.priority, record.client) == (spec, Priority.DAW, "reaper")
    assert (record.state, record.progress, record.outcome) == (JobState.QUEUED, None, None)


def test_an_id_that_is_taken_is_not_submitted_again(
    client: QueueClient, make_spec: Callable[..., JobSpec]
) -> None:
    for name in ("one", "two"):
        spec = make_spec(name)
        assert client.submit(spec, priority=Priority.DAW, client="spool", job_id="mine") == "mine"
    record = client.get("mine")
    assert record is not None
    assert record.spec.source.name == "one.wav"
    assert client.counts()[JobState.QUEUED] == 1


def test_an_id_that_could_leave_its_folder_is_refused(
    client: QueueClient, make_spec: Callable[..., JobSpec]
) -> None:
    with pytest.raises(ValueError, match="job_id"):
        client.submit(make_spec("song"), priority=Priority.DAW, client="spool", job_id="../away")


def test_ids_sort_by_time_and_lists_go_either_way(client: QueueClient, submit: Submit) -> None:
    ids = [submit("song") for _ in range(5)]
    assert [record.job_id for record in client.jobs(newest_first=False)] == ids
    assert [record.job_id for record in client.jobs(limit=2)] == ids[:2:-1]
    assert [job_id.rsplit("-", 1)[0] for job_id in ids] == sorted(job_id.rsplit("-", 1)[0] for job_id in ids)


def test_paths_are_those_of_the_client(
    client: QueueClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = JobSpec(source=Path("song.wav"), out_dir=Path("out"), preset="./mine.toml")
    record = client.get(client.submit(spec, priority=Priority.BATCH, client="cli"))
    assert record is not None
    assert (record.spec.source, record.spec.out_dir) == (tmp_path / "song.wav", tmp_path / "out")
    assert Path(record.spec.preset) == tmp_path / "mine.toml"


def test_a_job_that_waits_is_cancelled_at_once(client: QueueClient, submit: Submit) -> None:
    job_id = submit("song")
    assert client.cancel(job_id)
    record = client.wait(job_id, 0)
    assert record.state is JobState.CANCELLED
    assert record.outcome is not None
    assert record.outcome.exit_status == 130
    assert len(client.log(job_id)) == 1
    assert not client.cancel(job_id)
    assert not client.cancel("unknown")


def test_retry_is_a_new_job_with_the_same_spec(client: QueueClient, submit: Submit) -> None:
    first = submit("song", priority=Priority.WATCHED)
    client.cancel(first)
    second = client.get(client.retry(first))
    old = client.get(first)
    assert second is not None
    assert old is not None
    assert (second.spec, second.priority, second.client) == (old.spec, old.priority, old.client)
    assert (second.state, second.retry_of) == (JobState.QUEUED, first)
    with pytest.raises(OptionError, match="unknown"):
        client.retry("unknown")


def test_clear_forgets_what_has_ended_long_enough_ago(client: QueueClient, submit: Submit) -> None:
    ended, waiting = submit("one"), submit("two")
    client.cancel(ended)
    assert client.clear(older_than_s=60) == 0
    assert client.clear() == 1
    assert client.get(ended) is None
    assert client.log(ended) == []
    assert client.get(waiting) is not None
    with client._store.database.connect() as connection:
        known = connection.execute(sa.text("SELECT workflow_uuid FROM workflow_status")).scalars().all()
    assert known == [f"{waiting}.separate"]


def test_wait_ends_with_its_time(client: QueueClient, submit: Submit) -> None:
    assert client.wait(submit("song"), 0.01).state is JobState.QUEUED


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_nobody_else_reads_the_queue(client: QueueClient, submit: Submit, home: Path) -> None:
    submit("song")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()} == {0o600}


def test_nothing_is_pickled(client: QueueClient, submit: Submit) -> None:
    submit("song")
    with client._store.database.connect() as connection:
        formats = connection.execute(sa.text("SELECT serialization FROM workflow_status")).scalars().all()
    assert formats == ["portable_json"]


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="postgresql://"):
        QueueClient("queue")
    with pytest.raises(OptionError, match="no file"):
        QueueClient("sqlite://")


def test_many_jobs_are_counted_and_listed_by_index(client: QueueClient, submit: Submit) -> None:
    record = client.get(submit("song"))
    assert record is not None
    with client._store.database.begin() as connection:
        store = JobStore(client._store.database)
        for number in range(2000):
            store.insert(connection, record.model_copy(update={"job_id": f"job-{number}"}))
    assert client.counts()[JobState.QUEUED] == 2001
    assert len(client.jobs(limit=10)) == 10
    with client._store.database.connect() as connection:
        for query in (
            "SELECT state, count(*) FROM stemfix_jobs GROUP BY state",
            "SELECT * FROM stemfix_jobs ORDER BY created_at DESC LIMIT 10",
            "SELECT * FROM stemfix_jobs WHERE state IN ('queued') ORDER BY created_at LIMIT 10",
        ):
            plan = connection.execute(sa.text(f"EXPLAIN QUERY PLAN {query}")).all()
            assert "INDEX" in str(plan), query


def test_the_first_clients_may_come_at_the_same_time(home: Path) -> None:
    code = "from engine.queue.client import QueueClient; print(sum(QueueClient().counts().values()))"
    clients = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [process.communicate()[0] for process in clients] == ["0\n"] * 3


def test_a_client_prints_nothing(home: Path, make_spec: Callable[..., JobSpec]) -> None:
    code = (
        "import sys; from engine.job import JobSpec; from engine.queue.client import QueueClient\n"
        "QueueClient().submit(JobSpec.model_validate_json(sys.argv[1]), priority=1, client='x')"
    )
    spec = make_spec("song").model_dump_json()
    done = subprocess.run([sys.executable, "-c", code, spec], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")

"""The same queue on a PostgreSQL server of its own, where one is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.job import JobSpec
from engine.queue.client import QueueClient
from engine.queue.records import JobState, Priority
from engine.queue.runner import QueueRunner


def tools() -> Path | None:
    """The folder of the server's programs; Debian keeps them out of the PATH."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else debian[-1].parent if debian else None


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A fresh database on loopback."""
    programs = tools()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    user: dict[str, object] = {}
    if os.geteuid() == 0:  # the server refuses to run as root
        try:
            nobody = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL refuses to run as root, and there is no user for it")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid}
        for folder in (tmp_path, *tmp_path.parents[:3]):
            folder.chmod(0o755)
    data = tmp_path / "postgres"
    data.mkdir()
    if user:
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments],
            check=True,
            cwd=data,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            **user,  # type: ignore[call-overload]
        )

    database = str(data / "db")
    call("initdb", "-D", database, "-A", "trust", "-U", "stemfix", "--no-sync")
    options = f"-p {port} -k {data} -c listen_addresses=127.0.0.1 -c fsync=off"
    call("pg_ctl", "-D", database, "-o", options, "-l", str(data / "log"), "-w", "start")
    try:
        call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "stemfix", "studio")
        yield f"postgresql://stemfix@127.0.0.1:{port}/studio"
    finally:
        call("pg_ctl", "-D", database, "-m", "immediate", "stop")


def test_jobs_are_done_in_order_over_postgresql(
    url: str, make_spec: Callable[..., JobSpec], start_runner: Callable[..., QueueRunner]
) -> None:
    with QueueClient(url) as client:
        late = client.submit(make_spec("batch"), priority=Priority.BATCH, client="test")
        early = client.submit(make_spec("daw"), priority=Priority.DAW, client="test")
        wrong = client.submit(make_spec("no-such", preset="nope"), priority=Priority.BATCH, client="test")
        assert client.counts()[JobState.QUEUED] == 3
        start_runner(url=url)
        records = [client.wait(job_id, timeout_s=60) for job_id in (early, late, wrong)]
        assert [record.state for record in records] == [JobState.DONE, JobState.DONE, JobState.FAILED]
        assert (records[0].started_at or 0) <= (records[1].started_at or 0)
        assert "nope" in records[2].outcome.message if records[2].outcome else False
        again = client.wait(client.retry(wrong), timeout_s=60)
        assert (again.state, again.retry_of) == (JobState.FAILED, wrong)
        assert client.clear() == 4

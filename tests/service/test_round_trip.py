"""A job from another program, by way of a real engine process, and what that engine shows of itself."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.files import sha256_of
from engine.queue.records import JobState
from engine.spool.client import is_fresh, read_heartbeat, read_result, request_cancel, spool_dir
from engine.spool.models import SpoolResult

PAGE = Path(__file__).resolve().parents[2] / "docs" / "spool.md"
posix = pytest.mark.skipif(os.name == "nt", reason="shell and modes as POSIX has them")


def result(job_id: str) -> SpoolResult:
    found = read_result(job_id)
    assert found is not None
    return found


def test_a_range_comes_back_as_stems_of_exactly_its_length(at_work: Any) -> None:
    job_id = at_work.submit(at_work.song(), start_frame=1_000, stop_frame=21_001, client="reaper")
    status = at_work.wait(job_id)
    assert (status.state, status.progress) == (JobState.DONE, 1.0)
    found = result(job_id)
    assert (found.start_frame, found.stop_frame, found.exit_status) == (1_000, 21_001, 0)
    assert [file.name for file in found.files] == ["drums", "bass", "other", "vocals", "mix"]
    for file in found.files:
        assert (file.frames, file.sample_rate, file.channels) == (20_001, 44_100, 2)
        assert sha256_of(Path(file.path)) == file.sha256
        assert Path(file.path).parent == Path(found.folder or "")
    assert json.loads(Path(found.manifest or "").read_text())["source"]["start_frame"] == 1_000


def test_the_same_job_again_ends_at_once_with_the_same_files(at_work: Any) -> None:
    source = at_work.song(0.5, "again.wav")
    first, second = (at_work.submit(source) for _ in range(2))
    for job_id in (first, second):
        assert at_work.wait(job_id).state is JobState.DONE
    assert result(first).files == result(second).files
    assert result(first).already_done != result(second).already_done


def test_a_source_that_is_not_there_fails_with_a_sentence(at_work: Any) -> None:
    status = at_work.wait(at_work.submit(at_work.folder / "nothing.wav"))
    assert status.state is JobState.FAILED
    assert "nothing.wav" in status.message
    assert result(status.job_id).exit_status == 2


@posix
def test_a_planted_link_leads_nowhere(at_work: Any) -> None:
    """Links in the output folder and in the spool, where a guess would put them."""
    outside = at_work.folder / "outside"
    outside.mkdir()
    at_work.out.mkdir(exist_ok=True)
    source = at_work.song(0.5, "trap.wav")
    (at_work.out / "trap.stemfix").symlink_to(outside)
    (at_work.out / ".trap.stemfix.job-planted").symlink_to(outside)
    folder = spool_dir() / "planted"
    folder.mkdir(mode=0o700)
    for name in ("status.json", "result.json"):
        (folder / name).symlink_to(outside / name)
    job = {"spool_version": "1.0", "model": "fake", "source": str(source), "out_dir": str(at_work.out)}
    (folder / "job.tmp").touch(mode=0o600)
    (folder / "job.tmp").write_text(json.dumps(job))
    (folder / "job.tmp").rename(folder / "job.json")
    at_work.wait("planted")
    assert list(outside.iterdir()) == []


@posix
@pytest.mark.slow
def test_the_shell_client_of_the_manual_works_as_it_stands(at_work: Any) -> None:
    script = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[-1]
    source = at_work.song(0.5, 'it\'s "mine" \\ ours.wav').rename(at_work.folder / 'a "b" c.wav')
    client = at_work.folder / "client.sh"
    client.write_text(script.replace('"client": "shell"', '"client": "shell", "model": "fake"'))
    done = subprocess.run(
        ["sh", str(client), str(source), str(at_work.out)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done
    *lines, last = done.stdout.partition("{\n")
    assert json.loads("{" + last)["verdict"] == "PASS"
    assert "done 1.0 Done." in lines[0]


def test_a_heartbeat_tells_how_the_engine_is(at_work: Any) -> None:
    at_work.wait(at_work.submit(at_work.song(0.5, "beat.wav")))
    beat = read_heartbeat()
    assert beat is not None
    assert is_fresh(beat)
    assert (beat.pid, beat.state) == (at_work.started[0].pid, "ready")
    assert beat.memory_used_bytes > 10_000_000
    seen = beat.time
    while not (beat := read_heartbeat()) or beat.time < seen + 3:
        time.sleep(0.1)
    assert beat.queue[JobState.DONE] >= 1
    assert (beat.model, beat.warm, beat.running) == ("fake", True, [])


@posix
def test_what_the_engine_keeps_is_private(at_work: Any) -> None:
    at_work.wait(at_work.submit(at_work.song(0.5, "private.wav")))
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in (at_work.data, *at_work.data.rglob("*"))}
    loose = {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077}
    assert loose == {}


def test_the_engine_listens_on_nothing(at_work: Any) -> None:
    at_work.wait(at_work.submit(at_work.song(0.5, "deaf.wav")))
    for process in (family := psutil.Process(at_work.started[0].pid)), *family.children(recursive=True):
        assert [one for one in process.net_connections("inet") if one.status == psutil.CONN_LISTEN] == []
        assert process.net_connections("inet") == []


def test_a_cancel_of_an_ended_job_changes_nothing(at_work: Any) -> None:
    job_id = at_work.submit(at_work.song(0.5, "late.wav"))
    at_work.wait(job_id)
    before = result(job_id)
    request_cancel(job_id)
    time.sleep(0.5)
    assert result(job_id) == before

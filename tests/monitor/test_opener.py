"""The monitor opens a job's page; one that is missing is made by a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stemfix.monitor import opener
from stemfix.monitor.snapshot import Snapshot
from stemfix.monitor.ui import Ui, follow, press


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been started; there is a desktop."""
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: commands.append(command))
    monkeypatch.setattr(opener.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setenv("DISPLAY", ":0")
    return commands


@pytest.mark.skipif("sys.platform == 'win32'")
def test_a_page_is_opened_or_made(tmp_path: Path, started: list[list[str]]) -> None:
    assert "Making" in opener.open_page(tmp_path)
    assert started[0][1:] == ["-m", "stemfix", "report", "--quiet", "--open", str(tmp_path)]
    (tmp_path / "comparison.html").touch()
    assert "Opened" in opener.open_page(tmp_path)
    assert started[1][1:] == [str(tmp_path / "comparison.html")]
    assert "no folder" in opener.open_page(tmp_path / "gone")
    assert len(started) == 2


def test_p_asks_for_the_page_of_a_job_that_is_done(make_snapshot: Callable[..., Snapshot]) -> None:
    snapshot = make_snapshot()
    assert snapshot.queue is not None
    done = next(job for job in snapshot.queue.ended if job.state.value == "done")
    ui = follow(Ui(selected=done.job_id, chosen=True), snapshot)
    _, request = press(ui, "p", snapshot)
    assert request is not None
    assert (request.verb, request.job) == ("page", done)
    running = snapshot.queue.running[0]
    ui, request = press(follow(Ui(selected=running.job_id, chosen=True), snapshot), "p", snapshot)
    assert request is None
    assert "no results" in ui.message

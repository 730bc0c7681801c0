from __future__ import annotations

import io
from typing import Any

import pytest

import stemfix.live
from engine.progress import STAGES, Progress
from stemfix.job_clock import JobClock
from stemfix.live import LiveProgress, PlainProgress, job_progress


def run_through(progress: Progress) -> None:
    for stage in STAGES:
        for done in range(101):
            progress.update(stage, done, 100)
    progress.note("A fallback [was] taken in /music/🎸 [b]song[/b].wav.")


def test_without_a_terminal_there_are_a_few_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with job_progress(60.0, quiet=False) as progress:
        assert isinstance(progress, PlainProgress)
        run_through(progress)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\x1b" not in shown.err
    lines = shown.err.splitlines()
    assert len(lines) < 25
    assert all(any(stage in line for line in lines) for stage in STAGES)
    assert lines[-1] == "Note: A fallback [was] taken in /music/🎸 [b]song[/b].wav."


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with job_progress(60.0, quiet=True) as progress:
        run_through(progress)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    from rich.console import Console

    screen = io.StringIO()
    made = Console(file=screen, force_terminal=True, width=80, markup=False, highlight=False, emoji=False)
    monkeypatch.setattr(stemfix.live, "console", lambda stderr=False: made)
    return screen


def test_on_a_terminal_the_bar_shows_stage_speed_and_time_left(terminal: io.StringIO) -> None:
    with job_progress(60.0, quiet=False) as progress:
        assert isinstance(progress, LiveProgress)
        run_through(progress)
    shown = terminal.getvalue()
    assert "publish" in shown
    assert "100 %" in shown
    assert "left" in shown
    assert "Note: A fallback [was] taken in /music/🎸 [b]song[/b].wav." in shown


def test_a_note_cannot_steer_the_terminal(terminal: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
    with job_progress(60.0, quiet=False) as progress:
        progress.note("bad \x1b[2Jname")
    assert "\x1b[2J" not in terminal.getvalue()
    plain: Any = PlainProgress(JobClock(None))
    plain.note("bad \x1b[2Jname")
    assert "\x1b" not in capsys.readouterr().err

"""Every failure is one line and an exit status; a traceback is for those who ask."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import stemfix.cli
from engine.errors import AlignmentError, Cancelled, DeviceError, InputError
from stemfix.failure import failure

ROOT = Path(__file__).parents[2]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """`failing(error)` makes `stemfix cache` raise it."""

    def fail_with(error: BaseException) -> None:
        @click.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(stemfix.cli.cli, "get_command", lambda *_: command)

    return fail_with


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (
            InputError("song.wav is empty.", "Export it again."),
            2,
            "stemfix: song.wav is empty. Export it again.",
        ),
        (DeviceError("There is no cuda."), 2, "stemfix: There is no cuda."),
        (AlignmentError("It moved."), 3, "stemfix: It moved."),
        (Cancelled(), 130, "stemfix: Cancelled; nothing was written."),
        (KeyboardInterrupt(), 130, "stemfix: Cancelled."),
        (click.Abort(), 130, "stemfix: Cancelled."),
    ],
)
def test_a_known_error_is_its_sentence_and_its_status(
    stemfix, failing, error: BaseException, status: int, line: str
) -> None:
    failing(error)
    outcome = stemfix("cache")
    assert outcome.status == status
    assert outcome.err.strip().splitlines() == [line]
    assert outcome.out == ""


def test_too_little_memory_has_a_remedy(stemfix, failing) -> None:
    failing(MemoryError())
    outcome = stemfix("cache")
    assert outcome.status == 1
    assert "--segment" in outcome.err


def test_an_unexpected_error_is_one_line_that_points_to_debug(stemfix, failing) -> None:
    failing(RuntimeError("first\nsecond"))
    outcome = stemfix("cache")
    assert outcome.status == 1
    assert len(outcome.err.splitlines()) == 1
    assert "--debug" in outcome.err
    assert "first second" in outcome.err


@pytest.mark.parametrize("error", [RuntimeError("odd"), InputError("song.wav is empty.")])
def test_debug_shows_where_it_came_from(stemfix, failing, error: Exception) -> None:
    failing(error)
    outcome = stemfix("--debug", "cache")
    assert "Traceback" in outcome.err
    assert "test_failure.py" in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["enhance"], ["enhance", "--overlap", "1", "x"], ["enhance", "--seed", "-1", "x"]],
)
def test_wrong_usage_is_status_2(stemfix, arguments: list[str]) -> None:
    outcome = stemfix(*arguments)
    assert outcome.status == 2
    assert "Traceback" not in outcome.err


def test_a_misspelt_command_gets_a_suggestion(stemfix) -> None:
    assert "models" in stemfix("modles").err


def test_help_ends_well(stemfix) -> None:
    assert stemfix("--help").status == 0
    assert stemfix("--version").out.startswith("stemfix ")


def test_a_failure_says_nothing_on_several_lines() -> None:
    line, _ = failure(ValueError("a\n\nb"))
    assert "\n" not in line


@pytest.mark.skipif(os.name == "nt", reason="a closed pipe shows differently there")
def test_a_reader_that_goes_away_is_no_drama() -> None:
    arguments = ["presets", "show", "maximum"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "stemfix", *arguments],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 1

"""The monitor in a process of its own on a pseudo-terminal: what it writes, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.job import JobSpec
from engine.queue.client import QueueClient
from engine.queue.records import JobState, Priority

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import struct
import termios

ROOT = Path(__file__).parents[2]
ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
#: Far more than anything here takes on a busy machine.
PATIENCE_S = 60.0


class Terminal:
    """A pseudo-terminal with `stemfix status` on it."""

    def __init__(
        self, *arguments: str, columns: int = 80, lines: int = 24, code: str = "", **environment: str
    ) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(columns, lines)
        self.before = termios.tcgetattr(self.slave)
        self.written = ""
        kept = {
            name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.process = subprocess.Popen(
            [sys.executable, *(("-c", code) if code else ("-m", "stemfix", "status")), *arguments],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=ROOT,
            env={**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        )

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self) -> None:
        os.set_blocking(self.master, False)
        try:
            while data := os.read(self.master, 65536):
                self.written += data.decode(errors="replace")
        except (BlockingIOError, OSError):
            pass

    def wait_for(self, condition: Callable[[str], Any], since: int = 0) -> None:
        """Until `condition` holds of what was written since."""
        until = time.monotonic() + PATIENCE_S
        while not condition(self.written[since:]):
            assert time.monotonic() < until, self.written
            assert self.process.poll() is None, self.written
            time.sleep(0.02)
            self.read()

    def press(self, keys: str) -> int:
        """Type, and return how much had been written before."""
        self.read()
        os.write(self.master, keys.encode())
        return len(self.written)

    def end(self) -> int:
        """The exit status, once the process is gone."""
        until = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < until, self.written
            time.sleep(0.02)
            self.read()
        self.read()
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was: its modes, its first page, its cursor, its line breaks."""
        tail = self.written.rpartition(LEAVE)[0][-20:]
        return termios.tcgetattr(self.slave) == self.before and "\x1b[?25h" in tail and "\x1b[?7h" in tail


@pytest.fixture
def open_terminal() -> Iterator[Callable[..., Terminal]]:
    """`open_terminal(*arguments, columns=80, lines=24, code="", **environment)`."""
    opened: list[Terminal] = []

    def make(*arguments: str, **settings: Any) -> Terminal:
        opened.append(Terminal(*arguments, **settings))
        return opened[-1]

    yield make
    for terminal in opened:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)
        os.close(terminal.slave)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[QueueClient]:
    with QueueClient() as client:
        yield client


def spec(folder: Path, name: str = "song") -> JobSpec:
    return JobSpec(source=folder / f"{name}.wav", out_dir=folder)


def lines_written(written: str) -> set[int]:
    """The numbers of the lines that were drawn."""
    return {int(number) for number in re.findall(r"\x1b\[(\d+);1H", written)}


@pytest.mark.parametrize(
    "stop",
    [
        lambda terminal: terminal.press("q"),
        lambda terminal: terminal.process.send_signal(signal.SIGINT),
        lambda terminal: terminal.process.send_signal(signal.SIGTERM),
        lambda terminal: terminal.process.send_signal(signal.SIGHUP),
    ],
    ids=["q", "SIGINT", "SIGTERM", "SIGHUP"],
)
def test_it_shows_a_stopped_engine_and_leaves_the_terminal_as_it_was(
    open_terminal: Callable[..., Terminal], stop: Callable[[Terminal], Any]
) -> None:
    terminal = open_terminal()
    terminal.wait_for(lambda written: "engine stopped" in written and "stemfix up" in written)
    assert terminal.written.startswith(ENTER)
    assert lines_written(terminal.written) == set(range(1, 25))
    stop(terminal)
    assert terminal.end() == 0
    assert terminal.restored
    assert "Traceback" not in terminal.written


def test_a_failure_restores_the_terminal_and_is_told_after_that(
    open_terminal: Callable[..., Terminal],
) -> None:
    terminal = open_terminal(
        code="""
import sys
import stemfix.monitor.app as app
from stemfix.__main__ import main

page, pages = app.page, []

def fail(*arguments):
    pages.append(1)
    if len(pages) > 2:
        raise RuntimeError("A mistake of ours")
    return page(*arguments)

app.page = fail
sys.exit(main(["status"]))
"""
    )
    assert terminal.end() == 1
    assert terminal.restored
    assert "stemfix: Unexpected RuntimeError: A mistake of ours" in terminal.written.rpartition(LEAVE)[2]


def test_a_new_size_is_drawn_at_once(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal()
    terminal.wait_for(lambda written: "engine stopped" in written)
    since = len(terminal.written)
    terminal.resize(200, 60)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.wait_for(lambda written: lines_written(written) == set(range(1, 61)), since)
    since = len(terminal.written)
    terminal.resize(40, 10)
    terminal.process.send_signal(signal.SIGWINCH)
    terminal.wait_for(lambda written: lines_written(written) >= set(range(1, 11)), since)
    terminal.press("q")
    assert terminal.end() == 0
    assert terminal.restored


def test_only_what_changes_is_written_again(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal()
    terminal.wait_for(lambda written: "Queue\x1b" in written and "empty" in written)
    since = len(terminal.written)
    terminal.wait_for(lambda written: len(written) > 300, since)
    assert lines_written(terminal.written[since:]) == {1}
    assert "\n" not in terminal.written


def test_without_colour_there_are_no_colours(open_terminal: Callable[..., Terminal]) -> None:
    terminal = open_terminal(NO_COLOR="1")
    terminal.wait_for(lambda written: "engine stopped" in written)
    terminal.press("q")
    assert terminal.end() == 0
    assert not re.search(r"\x1b\[[0-9;]*\b(3[0-7]|4[0-7]|38|48|9[0-7])\b[0-9;]*m", terminal.written)


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_text(
    open_terminal: Callable[..., Terminal],
) -> None:
    for arguments, environment in (([], {"TERM": "dumb"}), (["--once"], {})):
        terminal = open_terminal(*arguments, **environment)
        assert terminal.end() == 0
        assert "Engine stopped" in terminal.written
        assert "\x1b" not in terminal.written


def test_keys_cancel_retry_and_show_the_log_of_real_jobs(
    open_terminal: Callable[..., Terminal], queue: QueueClient, tmp_path: Path
) -> None:
    first = queue.submit(spec(tmp_path, "first"), priority=Priority.BATCH, client="cli")
    urgent = queue.submit(spec(tmp_path, "urgent"), priority=Priority.DAW, client="reaper")
    terminal = open_terminal()
    terminal.wait_for(lambda written: "first.wav" in written and "1 daw" in written)
    assert terminal.written.index("urgent.wav") < terminal.written.index("first.wav")
    since = terminal.press("jc")
    terminal.wait_for(lambda written: "Cancel first.wav?" in written, since)
    since = terminal.press("y")
    terminal.wait_for(lambda written: "first.wav is being cancelled." in written, since)
    terminal.wait_for(lambda written: "1 cancelled" in written, since)
    records = {job_id: queue.get(job_id) for job_id in (first, urgent)}
    assert [record.state for record in records.values() if record] == [JobState.CANCELLED, JobState.QUEUED]
    since = terminal.press("l")
    terminal.wait_for(lambda written: first in written and "Cancelled while it waited." in written, since)
    since = terminal.press("\x1b")
    terminal.wait_for(lambda written: "select" in written, since)
    since = terminal.press("r")
    terminal.wait_for(lambda written: "first.wav is in the queue again" in written, since)
    assert queue.counts()[JobState.QUEUED] == 2
    terminal.press("q")
    assert terminal.end() == 0
    assert terminal.restored

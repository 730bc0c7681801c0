"""The supervisor: what it does at which second, and that real children never outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from stemfix.child import how_it_ended
from stemfix.supervisor import Part, Supervisor

ROOT = Path(__file__).parents[2]


class FakeChild:
    """A process that does what the test says."""

    def __init__(self, pid: int, obedient: bool = True) -> None:
        self.pid = pid
        self.status: int | None = None
        self.obedient = obedient
        self.asked = self.killed = False

    def poll(self) -> int | None:
        return self.status

    def ask(self) -> None:
        self.asked = True
        if self.obedient:
            self.status = 0

    def kill(self) -> None:
        self.killed, self.status = True, -9


class World:
    """A clock that only the test moves, and the processes that were started."""

    def __init__(self, *names: str) -> None:
        self.now = 100.0
        self.started: list[tuple[float, str]] = []
        self.children: dict[str, FakeChild] = {}
        self.elsewhere: dict[str, int | None] = {}
        self.lines: list[str] = []
        self.refuses = False
        self.obedient = True
        parts = [Part(name, (name,), lambda name=name: self.elsewhere.get(name)) for name in names]
        self.supervisor = Supervisor(
            parts, self.lines.append, self.start, clock=lambda: self.now, sleep=self.sleep
        )

    def start(self, part: Part) -> FakeChild:
        if self.refuses:
            raise OSError("no more processes")
        self.started.append((self.now, part.name))
        self.children[part.name] = FakeChild(1000 + len(self.started), self.obedient)
        return self.children[part.name]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def run(self, seconds: float) -> None:
        """Look ten times a second."""
        for _ in range(round(seconds * 10)):
            self.supervisor.look()
            self.now += 0.1


def test_every_part_is_started_once() -> None:
    world = World("engine", "watch")
    world.run(120)
    assert [name for _, name in world.started] == ["engine", "watch"]
    assert len(world.lines) == 2


def test_a_part_that_keeps_dying_is_started_after_longer_and_longer_delays() -> None:
    world = World("engine")
    starts = 12
    while len(world.started) < starts:
        world.run(0.1)
        if world.children["engine"].status is None:
            world.children["engine"].status = 1
    times = [when for when, _ in world.started]
    delays = [later - earlier for earlier, later in pairwise(times)]
    assert delays == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60], abs=0.35)
    assert "exit status 1" in world.lines[1]
    assert "started again in 1 s" in world.lines[1]
    assert ", 11 times in a row; started again in 60 s; this goes on until it works" in world.lines[-2]


def test_a_minute_of_health_resets_the_delay() -> None:
    world = World("engine")
    for _ in range(4):
        world.run(0.2)
        world.children["engine"].status = -11
        world.run(10)
    world.run(61)
    world.children["engine"].status = -9
    world.run(0.1)
    assert world.lines[-1] == "engine: ended by itself (killed by SIGKILL); started again in 1 s."


def test_one_part_that_dies_leaves_the_others_alone() -> None:
    world = World("engine", "watch")
    world.run(1)
    engine = world.children["engine"]
    world.children["watch"].status = 3
    world.run(5)
    assert [name for _, name in world.started] == ["engine", "watch", "watch"]
    assert world.children["engine"] is engine


def test_a_part_that_cant_be_started_is_tried_again() -> None:
    world = World("engine")
    world.refuses = True
    world.run(2)
    assert "no more processes" in world.lines[0]
    world.refuses = False
    world.run(5)
    assert len(world.started) == 1


def test_an_engine_that_runs_already_is_used_watched_and_taken_over() -> None:
    world = World("engine")
    world.elsewhere["engine"] = 77
    world.run(30)
    assert world.started == []
    assert world.lines == ["engine: runs already, process 77; it is used."]
    world.elsewhere["engine"] = None
    world.run(1)
    assert len(world.started) == 1
    assert world.lines[1] == "engine: process 77 is gone."


def test_an_engine_that_was_started_by_others_goes_on_at_the_end() -> None:
    world = World("engine", "watch")
    world.elsewhere["engine"] = 77
    world.run(1)
    world.supervisor.stop()
    assert world.children["watch"].asked
    assert world.lines[-1] == "engine: process 77 goes on; it was not started from here."


def test_one_that_loses_the_race_for_the_engine_uses_the_winner() -> None:
    world = World("engine")
    world.run(0.5)
    world.elsewhere["engine"] = 88
    world.children["engine"].status = 2
    world.run(5)
    assert len(world.started) == 1
    assert world.lines[-1] == "engine: runs already, process 88; it is used."


def test_stop_asks_all_and_then_kills_what_does_not_obey() -> None:
    world = World("good", "bad")
    world.run(0.1)
    world.children["bad"].obedient = False
    began = world.now
    world.supervisor.stop()
    assert world.children["good"].asked
    assert not world.children["good"].killed
    assert world.children["bad"].asked
    assert world.children["bad"].killed
    assert 5 < world.now - began < 10
    assert world.lines[-2:] == ["good: stopped.", "bad: did not stop in 8 s and was killed."]


@pytest.mark.parametrize(
    ("status", "words"), [(0, "exit status 0"), (-9, "killed by SIGKILL"), (-250, "killed by signal 250")]
)
def test_how_a_process_ended_in_words(status: int, words: str) -> None:
    if os.name != "nt":
        assert how_it_ended(status) == words


#: A supervisor with two parts: one that obeys its lifeline, one that is deaf to it for ever.
RUNNER = """
import signal, sys, threading
from stemfix.supervisor import Part, Supervisor

GOOD = '''
import threading
from stemfix.lifeline import hold_lifeline
stop = threading.Event()
hold_lifeline(stop.set)
stop.wait()
'''
DEAF = '''
import signal, time
from stemfix.lifeline import hold_lifeline
signal.signal(signal.SIGTERM, signal.SIG_IGN)
hold_lifeline(lambda: None, patience_s=0.5)
time.sleep(600)
'''
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
parts = [Part(name, (sys.executable, "-c", code)) for name, code in (("good", GOOD), ("deaf", DEAF))]
Supervisor(parts, lambda line: print(line, flush=True)).run(stop)
"""


@pytest.fixture
def running(tmp_path: Path):
    """The real thing: the supervisor's process and a function that returns its children once both run."""
    script = tmp_path / "runner.py"
    script.write_text(RUNNER)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert all("started" in line for line in lines)
    children = psutil.Process(process.pid).children()
    assert len(children) == 2
    wait_until(lambda: all(child.num_threads() > 1 for child in children if child.is_running()))
    yield process, children
    for left in (*children, process):
        if left.pid in psutil.pids():
            left.kill()
    process.wait()
    process.stdout.close()


def wait_until(true: Callable[[], bool], patience_s: float = 30.0) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
class TestReal:
    def test_children_end_with_a_supervisor_that_was_killed_with_9(self, running) -> None:
        process, children = running
        process.kill()
        process.wait()
        gone, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
        assert len(gone) == 2

    def test_a_child_that_was_killed_with_9_comes_back(self, running) -> None:
        process, children = running
        children[0].kill()
        died, started = process.stdout.readline(), process.stdout.readline()
        assert "ended by itself (killed by SIGKILL); started again in 1 s" in died
        assert "started" in started
        assert process.poll() is None

    def test_sigterm_stops_all_and_kills_the_deaf(self, running) -> None:
        process, children = running
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "good: stopped." in out
        assert "deaf: " in out
        assert not any(child.is_running() for child in children)

"""What is expected of a job's stages, and how steps take turns."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.errors import Cancelled
from engine.progress import STAGES
from engine.queue.gate import Gate
from engine.queue.pace import Pace


def test_a_measured_stage_is_expected_to_be_as_fast_again() -> None:
    pace = Pace()
    pace.learn("separate", seconds=30, audio_s=60)
    assert pace.known("separate")
    assert pace.seconds("separate", 120) == pytest.approx(60)
    pace.learn("separate", seconds=90, audio_s=60)
    assert pace.seconds("separate", 60) == pytest.approx(60), "the last ones count most"
    pace.learn("separate", seconds=1, audio_s=0)
    assert pace.seconds("separate", 60) == pytest.approx(60), "nothing is learned from nothing"


def test_other_stages_follow_in_proportion() -> None:
    fast, slow = Pace(), Pace()
    fast.learn("separate", seconds=6, audio_s=60)
    slow.learn("separate", seconds=60, audio_s=60)
    assert slow.seconds("enhance", 10) == pytest.approx(10 * fast.seconds("enhance", 10))


def test_before_and_after_make_the_whole() -> None:
    pace = Pace()
    whole = sum(pace.seconds(stage, 7) for stage in STAGES)
    for stage in STAGES:
        parts = pace.before(stage, 7) + pace.seconds(stage, 7) + pace.after(stage, 7)
        assert parts == pytest.approx(whole)


def test_a_suspect_step_runs_alone() -> None:
    gate, inside, most = Gate(), [], {False: 0, True: 0}
    lock = threading.Lock()

    def step(alone: bool) -> None:
        with gate.enter(alone, lambda: None):
            with lock:
                inside.append(alone)
                most[alone] = max(most[alone], len(inside))
            threading.Event().wait(0.005)
            with lock:
                inside.remove(alone)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(step, [index % 3 == 0 for index in range(40)]))
    assert most[True] == 1
    assert most[False] > 1


def test_who_waits_can_be_called_off() -> None:
    gate = Gate()

    def check() -> None:
        raise Cancelled

    with gate.enter(True, check), pytest.raises(Cancelled), gate.enter(True, check):
        pass
    with gate.enter(True, check):  # the one called off waits no more
        pass

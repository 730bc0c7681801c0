from __future__ import annotations

import pytest

from engine.progress import STAGES
from stemfix.job_clock import SHARES, JobClock
from stemfix.text import clock_text, speed_text


class Hand:
    """A clock that is moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_stages_share_the_whole_bar() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert tuple(SHARES) == STAGES


def test_the_bar_never_goes_back_and_ends_full() -> None:
    clock = JobClock(60.0, Hand())
    seen = []
    for stage in STAGES:
        for done in range(5):
            clock.update(stage, done, 4)
            seen.append(clock.fraction)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


def test_speed_and_time_left_follow_the_stage() -> None:
    hand = Hand()
    clock = JobClock(60.0, hand)
    clock.update("separate", 0, 10)
    assert clock.speed is None
    assert clock.seconds_left is None
    hand.now += 10
    clock.update("separate", 5, 10)
    assert clock.speed == pytest.approx(3.0)
    rest = (SHARES["enhance"] + SHARES["align"] + SHARES["publish"]) / SHARES["separate"]
    assert clock.seconds_left == pytest.approx(10 + 20 * rest)


def test_odd_reports_do_no_harm() -> None:
    clock = JobClock(None, Hand())
    clock.update("read", 0, 0)
    clock.update("enhance", 7, 3)
    clock.update("align", -1, 3)
    assert 0 <= clock.fraction <= 1
    assert clock.speed is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-:--"), (0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3661, "1:01:01")]
)
def test_clock_text(seconds: float | None, text: str) -> None:
    assert clock_text(seconds) == text


@pytest.mark.parametrize(("speed", "text"), [(None, "-"), (0.25, "0.25x"), (3.21, "3.2x"), (250.0, "250x")])
def test_speed_text(speed: float | None, text: str) -> None:
    assert speed_text(speed) == text

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import stemfix.monitor.feed
from engine.errors import OutputError
from engine.queue.records import JobRecord, JobState, Priority
from stemfix.monitor.feed import Feed

PATIENCE_S = 60.0


class Queue:
    """A queue that fails as often as it is told to."""

    failures = 0
    opened = 0
    closed = 0

    def __init__(self) -> None:
        type(self).opened += 1

    def counts(self) -> dict[JobState, int]:
        if type(self).failures > 0:
            type(self).failures -= 1
            raise OutputError("The disk is gone.", "Bring it back.")
        return dict.fromkeys(JobState, 0)

    def counts_waiting(self) -> dict[Priority, int]:
        return dict.fromkeys(Priority, 0)

    def jobs(self, **_: Any) -> list[JobRecord]:
        return []

    def waiting(self, limit: int) -> list[JobRecord]:
        return []

    ended = waiting

    def close(self) -> None:
        type(self).closed += 1


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> type[Queue]:
    """A class of queues, with counts of its own."""
    monkeypatch.setattr(stemfix.monitor.feed, "IDLE_S", 0.01)
    return type("Queue", (Queue,), {})


@pytest.fixture
def wait_for(kind: type[Queue]) -> Iterator[Callable[..., Feed]]:
    """`wait_for(open_queue, condition)` runs a feed until its snapshot is such."""
    feeds: list[Feed] = []

    def wait(open_queue: Callable[[], Any], condition: Callable[[Feed], Any]) -> Feed:
        found = threading.Event()
        feed = Feed(open_queue, changed=lambda: found.set() if condition(feed) else None)
        feeds.append(feed)
        feed.__enter__()
        assert found.wait(PATIENCE_S)
        return feed

    yield wait
    for feed in feeds:
        feed.__exit__(None, None, None)


def test_the_first_snapshot_is_there_before_the_queue(kind: type[Queue]) -> None:
    feed = Feed(kind, changed=lambda: None)
    assert feed.snapshot.queue is None
    assert feed.snapshot.engine.state == "stopped"
    assert kind.opened == 0


def test_a_queue_that_fails_is_told_of_and_opened_afresh(kind: type[Queue], wait_for: Any) -> None:
    kind.failures = 2
    problems: list[str] = []

    def mended(feed: Feed) -> bool:
        assert feed.snapshot.queue is not None
        problems.append(feed.snapshot.queue.problem)
        return not problems[-1]

    wait_for(kind, mended)
    assert problems[:3] == ["The disk is gone. Bring it back."] * 2 + [""]
    assert kind.opened == 3
    assert kind.closed >= 2


def test_a_queue_that_cannot_be_opened_is_tried_again(kind: type[Queue], wait_for: Any) -> None:
    tries: list[int] = []

    def open_queue() -> Queue:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("strange")
        return kind()

    wait_for(open_queue, lambda feed: not feed.snapshot.queue.problem)
    assert len(tries) == 3


def test_a_task_tells_its_result_or_one_sentence(kind: type[Queue], wait_for: Any) -> None:
    feed = wait_for(kind, lambda feed: feed.snapshot.queue)
    told: list[str] = []
    both = threading.Event()

    def fail(message: str) -> None:
        told.append(f"failed: {message}")
        both.set()

    feed.do(lambda queue: type(queue).__name__, told.append, told.append)
    feed.do(lambda queue: 1 / 0, told.append, fail)
    assert both.wait(PATIENCE_S)
    assert told == ["Queue", "failed: division by zero"]


def test_a_closed_feed_has_closed_its_queue(kind: type[Queue]) -> None:
    ready = threading.Event()
    with Feed(kind, changed=ready.set):
        assert ready.wait(PATIENCE_S)
    assert kind.closed == kind.opened == 1

"""The warm model leaves the memory when nothing worked with it for a while, and not before."""

from __future__ import annotations

from typing import Any

import pytest

from engine.models import ModelHandle
from engine.separation.separator import SeparationOptions
from engine.service import warm
from engine.service.warm import IdleModels


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(warm.time, "monotonic", lambda: now[0])
    return now


def models(fake_separator: Any, idle_s: float) -> IdleModels:
    fake_separator.device = "cpu"
    found = IdleModels(lambda *_: ModelHandle.of(fake_separator), idle_s)
    found("fake", SeparationOptions(), "auto").load(print)
    return found


def test_an_idle_model_is_given_back(fake_separator: Any, clock: list[float]) -> None:
    found = models(fake_separator, 60)
    assert (found.loaded, found.device) == ("fake", "cpu")
    clock[0] += 59
    found.look(busy=False)
    assert found.loaded == "fake"
    clock[0] += 2
    found.look(busy=False)
    assert (found.loaded, found.device) == (None, None)
    found("fake", SeparationOptions(), "auto").load(print)
    assert found.loaded == "fake"


def test_a_model_at_work_stays(fake_separator: Any, clock: list[float]) -> None:
    found = models(fake_separator, 60)
    for _ in range(10):
        clock[0] += 50
        found.look(busy=True)
    clock[0] += 50
    found.look(busy=False)
    assert found.loaded == "fake"


def test_no_limit_keeps_it_for_ever(fake_separator: Any, clock: list[float]) -> None:
    found = models(fake_separator, 0)
    clock[0] += 1e6
    found.look(busy=False)
    assert found.loaded == "fake"

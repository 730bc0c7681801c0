"""Stems of renders in a watched folder go back into the open project: which, when, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import daw_bridge.reaper.round_trip as round_trip
from daw_bridge.reaper.live import OpenProject
from daw_bridge.reaper.result import Result
from daw_bridge.reaper.round_trip import RoundTrip
from engine.errors import StemfixError
from engine.job import JobSpec
from engine.queue.records import JobOutcome, JobRecord, JobState, Priority

Publish = Callable[..., Path]


class World:
    """A queue, a clock and a REAPER."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.records: list[JobRecord] = []
        self.said: list[str] = []
        self.imported: list[str] = []
        self.now = 1000.0
        self.is_up = True
        self.project = ""
        monkeypatch.setattr(round_trip, "connected", self.connected)
        monkeypatch.setattr(round_trip, "projects", lambda api: [OpenProject("p", self.project)])
        monkeypatch.setattr(round_trip, "import_render", self.import_render)

    def ended(self, limit: int = 100) -> list[JobRecord]:
        return self.records

    @contextmanager
    def connected(self, port: int) -> Iterator[str]:
        assert port == 2306
        if not self.is_up:
            raise StemfixError("No REAPER answers on port 2306.")
        yield "api"

    def import_render(self, api: Any, result: Result) -> float:
        self.imported.append(result.source.name)
        return 5.0

    def add(self, job_id: str, folder: Path, **changes: Any) -> None:
        values = {
            "job_id": job_id,
            "spec": JobSpec(source=Path("/x.wav"), out_dir=Path("/")),
            "priority": Priority.WATCHED,
            "client": "watch",
            "state": JobState.DONE,
            "created_at": 1.0,
            "ended_at": self.now + 1,
            "outcome": JobOutcome(state=JobState.DONE, folder=str(folder)),
            **changes,
        }
        self.records.append(JobRecord(**values))

    def start(self, which: Any = "any") -> RoundTrip:
        return RoundTrip(self, which, 2306, self.said.append, clock=lambda: self.now)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_a_render_is_brought_in_once(world: World, published: Publish) -> None:
    trip = world.start()
    world.add("a", published(reference=8_000))
    trip.look()
    trip.look()
    assert world.imported == ["mix.wav"]
    assert world.said == ["a: The stems of mix.wav are in the open project at 5.000 s."]


def test_other_jobs_are_left_alone(world: World, published: Publish) -> None:
    folder = published(reference=8_000)
    world.add("before", folder, ended_at=10.0)
    trip = world.start()
    world.add("daw", folder, client="reaper")
    world.add("failed", folder, state=JobState.FAILED)
    trip.look()
    assert (world.imported, world.said) == ([], [])


def test_a_recording_without_a_place_is_none_of_its_business(world: World, published: Publish) -> None:
    trip = world.start()
    world.add("a", published())
    trip.look()
    assert (world.imported, world.said) == ([], [])


def test_it_waits_for_reaper_and_at_last_says_how(world: World, published: Publish) -> None:
    trip = world.start()
    world.is_up = False
    world.add("a", published(reference=8_000))
    trip.look()
    assert world.said == []
    world.now += 4_000
    trip.look()
    (line,) = world.said
    assert line.endswith("stemfix reaper import a --at-time-reference")
    trip.look()
    assert len(world.said) == 1


def test_only_renders_of_the_open_project_where_that_was_asked_for(
    world: World, published: Publish, tmp_path: Path
) -> None:
    trip = world.start("project")
    world.add("a", published(reference=8_000))  # it lies in tmp_path / "song"
    for project in ("", str(tmp_path / "other" / "b.rpp")):
        world.project = project
        trip.look()
        assert world.imported == []
    world.project = str(tmp_path / "song" / "song.rpp")
    trip.look()
    assert world.imported == ["mix.wav"]


def test_a_moved_recording_still_tells_its_place(world: World, published: Publish, tmp_path: Path) -> None:
    trip = world.start()
    world.add("a", published(reference=8_000))
    source = tmp_path / "song" / "mix.wav"
    (source.parent / "done").mkdir()
    source.rename(source.parent / "done" / "mix.wav")
    trip.look()
    assert world.imported == ["mix.wav"]


def test_damaged_results_are_told(world: World, tmp_path: Path) -> None:
    trip = world.start()
    world.add("a", tmp_path / "gone")
    trip.look()
    assert "missing or damaged" in world.said[0]

"""All or nothing: whichever call to REAPER fails, the project is as before or has everything in one step."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from api import ApiError
from model import Project, Source
from render import null_db, render

#: Without these there is nobody left who could say or do anything.
_LAST = {"ShowMessageBox", "defer"}
_PARTS = 8


def _arrange(studio: Any) -> Project:
    """Two items, one of them reversed, on tracks within a folder; another project is in front at the end."""
    song = studio.song(seconds=4.0, rate=8000)
    project: Project = studio.project
    project.rate = 8000
    project.add_track("F", I_FOLDERDEPTH=1.0)
    source = Source.of_file(song)
    project.add_track("One").add_item(source, "a", take={"D_STARTOFFS": 1.0}, D_LENGTH=1.0, B_UISEL=1.0)
    two = project.add_track("Two", I_FOLDERDEPTH=-1.0)
    two.add_item(Source.of_file(song).section(0.0, 4.0, True), "b", D_LENGTH=1.0, B_UISEL=1.0)
    # The user's own last step has the same name: it must not be undone.
    project.undo.append(("stemfix: Enhance selected item", project.snapshot()))
    project.changes += 1
    studio.engine.shares = {"bass": 0.25, "vocals": 0.75}
    return project


def _comparable(project: Project) -> list[Any]:
    """What a finished import looks like, without ids that are new each time."""
    return [
        [track.name, track.info, [[item.info, item.take and item.take.info] for item in track.items]]
        for track in project.tracks
    ]


def _switch_away(studio: Any) -> Any:
    def on_tick(number: int) -> None:
        if number == 6:
            studio.reaper.active = studio.reaper.projects[1]

    return on_tick


@pytest.fixture
def clean(studio: Any) -> Any:
    """The studio, its project, and what an undisturbed run makes of the same: its calls and its end."""
    project = _arrange(studio)
    studio.reaper.open("/other.rpp", studio.folder / "other")
    studio.reaper.active = project
    return studio, project


def _undisturbed(studio: Any, project: Project) -> tuple[list[str], list[Any]]:
    snapshot, undo = project.snapshot(), list(project.undo)
    studio.run(on_tick=_switch_away(studio))
    calls, end = list(studio.reaper.calls), _comparable(project)
    project.tracks, project.undo = snapshot, undo
    studio.reaper.active = project
    return calls, end


@pytest.mark.parametrize("part", range(_PARTS))
def test_whichever_call_fails(clean: Any, part: int) -> None:
    studio, project = clean
    calls, end = _undisturbed(studio, project)
    state, sound, tracks, undo = project.state(), render(project, 2), project.tracks, list(project.undo)
    assert len(calls) > 400
    outcomes = set()
    first_change = calls.index("PreventUIRefresh")
    # All of the import, and every fifth of what leads there.
    numbers = [number for number in range(1, len(calls) + 1) if number > first_change or number % 5 == 0]
    for number in numbers[part::_PARTS]:
        if calls[number - 1] in _LAST:
            continue
        reaper = studio.reaper
        reaper.calls.clear()
        reaper.messages.clear()
        for key in ("session", "follower", "progress"):
            reaper.ext.pop(("stemfix", key), None)
        failed: list[str] = []

        def fail(name: str, count: int, number: int = number, failed: list[str] = failed) -> None:
            if not failed and count >= number and name not in _LAST:
                failed.append(name)
                raise ApiError(f"injected into {name}")

        reaper.before_call = fail
        # Before the script protects itself an error goes to REAPER's console.
        with suppress(ApiError):
            studio.run(on_tick=_switch_away(studio))
        reaper.end()
        reaper.before_call = lambda name, count: None
        where = f"call {number}, {failed}"
        assert not reaper.violations, where
        if project.state() == state:
            outcomes.add("nothing")
            assert len(project.undo) == len(undo), where
        else:
            outcomes.add("everything")
            assert _comparable(project) == end, where
            assert len(project.undo) == len(undo) + 1, where
            assert null_db(sound, render(project, 2)) <= -120, where
        project.tracks, project.undo = tracks, list(undo)
        tracks = project.snapshot()
        state = project.state()
        project.tracks, tracks = tracks, project.snapshot()
        reaper.active = project
        for left in (reaper.data_dir / "reaper" / "pending").glob("*.json"):
            left.unlink()
    assert outcomes == {"nothing", "everything"}

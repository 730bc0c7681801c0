"""Whatever shape an item has: its stems sum to it, or it is refused and nothing is changed."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model import Source
from render import null_db, render
from studio import make_studio

RATE = 8000
fades = st.just(0.0) | st.floats(0.01, 0.5)
items = st.fixed_dictionaries(
    {
        "D_POSITION": st.floats(0, 2),
        "D_LENGTH": st.floats(0.05, 4),
        "B_LOOPSRC": st.sampled_from([0.0, 1.0]),
        "D_VOL": st.floats(0.2, 2),
        "D_FADEINLEN": fades,
        "D_FADEOUTLEN": fades,
    }
)
takes = st.fixed_dictionaries(
    {
        "D_STARTOFFS": st.floats(-1, 5),
        "D_PLAYRATE": st.floats(0.25, 4),
        "B_PPITCH": st.just(0.0),
        "D_PAN": st.floats(-1, 1),
    }
)
sections = st.none() | st.tuples(st.floats(0, 2), st.floats(0.3, 2), st.booleans())


def _source(song: str, section: tuple[float, float, bool] | None) -> Source:
    source = Source.of_file(song)
    return source.section(*section) if section else source


def _check(
    studio: Any,
    source: Source,
    item: dict[str, float],
    take: dict[str, float],
    part: tuple[float, float] | None,
) -> None:
    """The stems sum to the item in one undo step; or one sentence says why not, and nothing is changed."""
    studio.engine.shares = {"bass": 0.25, "vocals": 0.75}
    project = studio.project
    project.rate = RATE
    project.add_track("Mix").add_item(source, "mix", take=take, B_UISEL=1.0, **item)
    if part:
        project.time_selection = part[0], part[0] + part[1]
    before, state = render(project, 7), project.state()
    studio.run("Enhance time selection" if part else "Enhance selected item")
    if studio.reaper.messages:
        assert project.state() == state
        (message,) = studio.reaper.messages
        assert any(words in message for words in ("plays nothing", "None of the selected", "within a fade"))
    else:
        assert len(project.undo) == 1
        assert null_db(before, render(project, 7)) <= -120
        project.undo_last()
        assert project.state() == state


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    item=items, take=takes, section=sections, part=st.none() | st.tuples(st.floats(0, 4), st.floats(0.1, 3))
)
def test_any_item(
    item: dict[str, float], take: dict[str, float], section: Any, part: tuple[float, float] | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        studio: Any = make_studio(importlib.import_module("lupa.lua54"), Path(folder))
        song = studio.song(seconds=4.0, rate=RATE)
        _check(studio, _source(song, section), item, take, part)


#: Seconds at which a frame begins: what is read has none in between.
def _frames(first: float, last: float) -> st.SearchStrategy[float]:
    return st.integers(round(first * RATE), round(last * RATE)).map(lambda frame: frame / RATE)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    item=items,
    position=_frames(0, 2),
    take=takes,
    start=_frames(-1, 5),
    rate=st.just(1.0) | st.floats(0.25, 4),
    sections=st.lists(st.tuples(st.floats(0, 1), st.floats(0.3, 2), st.booleans()), max_size=3),
    part=st.none() | st.tuples(_frames(0, 4), _frames(0.1, 3)),
)
def test_any_item_that_is_read_as_reaper_plays_it(
    item: dict[str, float],
    position: float,
    take: dict[str, float],
    start: float,
    rate: float,
    sections: list[tuple[float, float, bool]],
    part: tuple[float, float] | None,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        studio: Any = make_studio(importlib.import_module("lupa.lua54"), Path(folder))
        source = Source.of_file(studio.song("song.ogg", seconds=4.0, rate=RATE))
        for section in sections:
            source = source.section(*section)
        take = take | {"D_STARTOFFS": start, "D_PLAYRATE": rate}
        _check(studio, source, item | {"D_POSITION": position}, take, part)

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


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    item=items, take=takes, section=sections, part=st.none() | st.tuples(st.floats(0, 4), st.floats(0.1, 3))
)
def test_any_item(
    item: dict[str, float], take: dict[str, float], section: Any, part: tuple[float, float] | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        studio: Any = make_studio(importlib.import_module("lupa.lua54"), Path(folder))
        studio.engine.shares = {"bass": 0.25, "vocals": 0.75}
        project = studio.project
        project.rate = RATE
        song = studio.song(seconds=4.0, rate=RATE)
        project.add_track("Mix").add_item(_source(song, section), "mix", take=take, B_UISEL=1.0, **item)
        if part:
            project.time_selection = part[0], part[0] + part[1]
        before, state = render(project, 7), project.state()
        studio.run("Enhance time selection" if part else "Enhance selected item")
        if studio.reaper.messages:
            assert project.state() == state
            (message,) = studio.reaper.messages
            assert any(
                words in message for words in ("plays nothing", "None of the selected", "within a fade")
            )
        else:
            assert len(project.undo) == 1
            assert null_db(before, render(project, 7)) <= -120
            project.undo_last()
            assert project.state() == state

"""What comes back sounds like what was there, to -120 dB, whatever the item does with its file."""

from __future__ import annotations

from typing import Any

import pytest
from model import Source
from render import null_db, render

ITEM = {
    "D_POSITION": 1.3,
    "D_LENGTH": 2.25,
    "B_UISEL": 1.0,
    "B_LOOPSRC": 0.0,
    "D_VOL": 0.8,
    "D_SNAPOFFSET": 0.1,
    "D_FADEINLEN": 0.2,
    "D_FADEOUTLEN": 0.4,
    "C_FADEINSHAPE": 3.0,
    "D_FADEOUTDIR": 0.5,
}
TAKE = {"D_STARTOFFS": 1.7512345, "D_PAN": -0.3, "D_VOL": 1.1, "D_PANLAW": 0.5}

CASES: dict[str, dict[str, Any]] = {
    "offset": {},
    "trimmed to almost nothing": {"item": {"D_LENGTH": 0.01, "D_FADEINLEN": 0.0, "D_FADEOUTLEN": 0.0}},
    "odd position": {"item": {"D_POSITION": 1.3000071}},
    "playrate": {"take": {"D_PLAYRATE": 1.25, "D_PITCH": 2.0, "B_PPITCH": 0.0}},
    "slow playrate": {"take": {"D_PLAYRATE": 0.37, "B_PPITCH": 0.0}},
    "negative offset": {"take": {"D_STARTOFFS": -0.5}},
    "beyond the end": {"take": {"D_STARTOFFS": 5.0}},
    "whole file": {"item": {"D_LENGTH": 6.0}, "take": {"D_STARTOFFS": 0.0}},
    "loop": {"item": {"B_LOOPSRC": 1.0, "D_LENGTH": 14.0}, "take": {"D_STARTOFFS": 5.0}},
    "loop from before the start": {"item": {"B_LOOPSRC": 1.0}, "take": {"D_STARTOFFS": -1.0}},
    "loop that is not reached": {"item": {"B_LOOPSRC": 1.0}},
    "section": {"section": (1.0, 4.0, False), "take": {"D_STARTOFFS": 0.75}},
    "section beyond its end": {"section": (1.0, 4.0, False), "take": {"D_STARTOFFS": 3.0}},
    "section between frames": {"section": (1.00001, 3.999987, False), "take": {"D_STARTOFFS": 0.75}},
    "short section of a long file": {
        "section": (0.1, 5.6, False),
        "item": {"D_LENGTH": 0.5},
        "take": {"D_STARTOFFS": 2.1},
    },
    "looped section": {
        "section": (1.0, 1.5, False),
        "item": {"B_LOOPSRC": 1.0},
        "take": {"D_STARTOFFS": 0.75},
    },
    "reversed": {"section": (0.0, 6.0, True), "take": {"D_STARTOFFS": 2.1}},
    "reversed with a little of it": {
        "section": (0.0, 6.0, True),
        "item": {"D_LENGTH": 0.4},
        "take": {"D_STARTOFFS": 2.1},
    },
    "reversed section": {"section": (1.0, 4.0, True), "take": {"D_STARTOFFS": 0.3}},
    "reversed section between frames": {"section": (1.00001, 3.999987, True), "take": {"D_STARTOFFS": 0.3}},
    "looped reversed section": {
        "section": (1.0, 1.7, True),
        "item": {"B_LOOPSRC": 1.0},
        "take": {"D_STARTOFFS": 0.3},
    },
    "reversed playrate": {"section": (0.0, 6.0, True), "take": {"D_PLAYRATE": 1.5, "B_PPITCH": 0.0}},
    "mono": {"file": {"channels": 1}},
    "44.1 kHz": {"file": {"rate": 44100}},
    "88.2 kHz": {"file": {"rate": 88200}},
    "96 kHz": {"file": {"rate": 96000}},
    "flac": {"file": {"name": "song.flac"}},
    "item volume": {"item": {"D_VOL": 2.5}},
    "automatic fades": {"item": {"D_FADEINLEN_AUTO": 0.3, "D_FADEOUTLEN_AUTO": 0.1}},
    "fade shapes": {"item": {"C_FADEOUTSHAPE": 4.0, "D_FADEINDIR": -0.4}},
    "channel mode": {"take": {"I_CHANMODE": 3.0}},
}


@pytest.mark.parametrize("case", CASES)
def test_the_stems_sum_to_the_item(studio_of: Any, case: str) -> None:
    studio, what = studio_of, CASES[case]
    project = studio.project
    song = studio.song(**what.get("file", {}))
    source = Source.of_file(song)
    if "section" in what:
        source = source.section(*what["section"])
    project.add_track("Mix")
    project.add_track("After")
    item = project.tracks[0].add_item(
        source, "mix", take=TAKE | what.get("take", {}), **(ITEM | what.get("item", {}))
    )
    seconds = item.info["D_POSITION"] + item.info["D_LENGTH"] + 0.2
    before, state = render(project, seconds), project.state()
    assert abs(before).max() > 0.01

    studio.run()

    assert studio.reaper.messages == []
    assert item.info["B_MUTE"] == 1
    assert null_db(before, render(project, seconds)) <= -120
    assert project.tree() == [
        (0, "Mix"),
        (0, "Mix (stemfix)"),
        (1, "drums"),
        (1, "bass"),
        (1, "other"),
        (1, "vocals"),
        (0, "After"),
    ]
    for track in project.tracks[2:6]:
        (stem,) = track.items
        for name in ("D_POSITION", "D_LENGTH", "D_SNAPOFFSET", "B_LOOPSRC", "C_BEATATTACHMODE"):
            assert stem.info[name] == item.info[name]
        assert stem.take.name == f"mix {track.name}"
    assert [label for label, _ in project.undo] == ["stemfix: Enhance selected item"]
    project.undo_last()
    assert project.state() == state

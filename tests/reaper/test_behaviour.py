"""Where stems go, what is refused, and what happens when the user or the world does something meanwhile."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from model import Item, Source, Take, Track
from reaper import ImGui
from render import null_db, render

STEMS = ["drums", "bass", "other", "vocals"]


def add_item(
    studio: Any, track: Track | None = None, position: float = 1.0, length: float = 2.0, **take: float
) -> Item:
    """A selected item, on a new track "Mix" where none is given."""
    track = track or studio.project.add_track("Mix")
    path = studio.folder / "song ünï.wav"
    source = Source.of_file(str(path) if path.exists() else studio.song())
    return track.add_item(
        source,
        "mix",
        take={"D_STARTOFFS": 2.0, **take},
        D_POSITION=position,
        D_LENGTH=length,
        B_UISEL=1.0,
        B_LOOPSRC=0.0,
    )


def assert_same_sound(studio: Any, before: np.ndarray[Any, Any], seconds: float = 8.0) -> None:
    assert abs(before).max() > 0.001
    assert null_db(before, render(studio.project, seconds)) <= -120


# Where the stems go


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([("F", 1), ("Mix", -1)], [0, 1, 1, 2, 2, 2, 2, 0]),
        ([("F", 1), ("G", 1), ("Mix", -2)], [0, 1, 2, 2, 3, 3, 3, 3, 0]),
        ([("F", 1), ("Mix", 0), ("Last", -1)], [0, 1, 1, 2, 2, 2, 2, 1, 0]),
        ([("Mix", 1), ("child", -1)], [0, 1, 2, 2, 2, 2, 1, 0]),
        ([("F", 1), ("Mix", 1), ("child", -2)], [0, 1, 2, 3, 3, 3, 3, 2, 0]),
    ],
)
def test_folders_around_the_track_stay_as_they_are(
    studio: Any, tracks: list[tuple[str, int]], expected: list[int]
) -> None:
    for name, depth in tracks:
        studio.project.add_track(name, I_FOLDERDEPTH=float(depth), D_VOL=0.5)
    studio.project.add_track("After")
    add_item(studio, studio.project.track("Mix"))
    before = render(studio.project, 8)
    studio.run()
    tree = studio.project.tree()
    assert [depth for depth, _ in tree] == expected
    assert tree[-1] == (0, "After")
    names = [name for _, name in tree]
    assert names[names.index("Mix") + 1 :][:5] == ["Mix (stemfix)", *STEMS]
    assert_same_sound(studio, before)


def test_the_folder_takes_over_the_track_s_fader(studio: Any) -> None:
    track = studio.project.add_track("Mix", D_VOL=0.6, D_PAN=-0.4, B_PHASE=1.0, I_CUSTOMCOLOR=0x1FF8040)
    add_item(studio, track)
    before = render(studio.project, 8)
    studio.run()
    assert_same_sound(studio, before)
    folder = studio.project.track("Mix (stemfix)")
    assert folder.info["I_CUSTOMCOLOR"] == 0x1FF8040
    colours = [studio.project.track(name).info["I_CUSTOMCOLOR"] for name in STEMS]
    assert len(set(colours)) == 4
    assert all(int(colour) & 0x1000000 for colour in colours)


@pytest.mark.parametrize(
    ("setting", "volume", "effects"), [("nothing", 1.0, []), ("effects", 0.6, ["EQ", "Comp"]), ("", 0.6, [])]
)
def test_what_the_folder_takes_over_can_be_chosen(
    studio: Any, setting: str, volume: float, effects: list[str]
) -> None:
    studio.reaper.ext["stemfix", "track_settings"] = setting
    track = studio.project.add_track("Mix", D_VOL=0.6)
    track.effects += ["EQ", "Comp"]
    add_item(studio, track)
    studio.run()
    folder = studio.project.track("Mix (stemfix)")
    assert folder.info["D_VOL"] == volume
    assert folder.effects == effects
    assert track.effects == ["EQ", "Comp"]


def test_take_effects_stay_on_the_original_and_that_is_said(studio: Any) -> None:
    item = add_item(studio)
    assert item.take
    item.take.effects.append("EQ")
    studio.run()
    (message,) = studio.reaper.messages
    assert message.startswith("The take effects of 'mix' stay on the muted original.")
    assert studio.project.track("bass").items[0].take.effects == []


def test_take_effects_are_copied_where_the_user_wants_effects(studio: Any) -> None:
    studio.reaper.ext["stemfix", "track_settings"] = "effects"
    item = add_item(studio)
    assert item.take
    item.take.effects += ["EQ", "Comp"]
    item.take.envelopes = 1
    studio.run()
    assert studio.reaper.messages[0].startswith("The take envelopes of 'mix' stay")
    assert studio.project.track("bass").items[0].take.effects == ["EQ", "Comp"]


def test_items_of_one_track_share_a_folder_and_each_track_has_its_own(studio: Any) -> None:
    mix, other = studio.project.add_track("Mix"), studio.project.add_track("")
    items = [
        add_item(studio, mix, 0.0),
        add_item(studio, other, 1.0, D_PLAYRATE=1.0),
        add_item(studio, mix, 4.0),
    ]
    before, state = render(studio.project, 8), studio.project.state()
    studio.run()
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS, "", "mix (stemfix)", *STEMS]
    assert [len(track.items) for track in studio.project.tracks] == [2, 0, 2, 2, 2, 2, 1, 0, 1, 1, 1, 1]
    assert all(item.info["B_MUTE"] for item in items)
    assert_same_sound(studio, before)
    assert len(studio.project.undo) == 1
    studio.project.undo_last()
    assert studio.project.state() == state


def test_takes_that_are_not_active_stay_out(studio: Any) -> None:
    item = add_item(studio)
    item.takes.insert(0, Take(item, None, "old"))
    item.takes[0].own(Source.of_file(studio.song("old.wav")))
    item.info["I_CURTAKE"] = 1.0
    before = render(studio.project, 8)
    studio.run()
    assert_same_sound(studio, before)
    assert len(studio.project.track("bass").items[0].takes) == 1


def test_stems_have_a_second_more_on_both_sides(studio: Any) -> None:
    add_item(studio)
    studio.run()
    stem = studio.project.track("bass").items[0].take
    assert stem.source.length == pytest.approx(4.0)
    assert stem.info["D_STARTOFFS"] == pytest.approx(1.0)


def test_a_song_without_separation_is_one_stem(studio: Any) -> None:
    studio.engine.shares = {"song": 1.0}
    add_item(studio)
    before = render(studio.project, 8)
    studio.run()
    assert studio.reaper.messages == []
    assert studio.project.tree() == [(0, "Mix"), (0, "Mix (stemfix)"), (1, "song")]
    track = studio.project.track("song")
    assert int(track.info["I_CUSTOMCOLOR"]) & 0x1000000
    assert track.items[0].take.name == "mix song"
    assert_same_sound(studio, before)


# What is refused


def _no_take(item: Item) -> None:
    item.takes.clear()


def _midi(item: Item) -> None:
    item.take.own(Source("MIDI", "", 0, 0, 2.0))  # type: ignore[union-attr]


def _set_source(**values: Any) -> Callable[[Item], None]:
    def change(item: Item) -> None:
        for name, value in values.items():
            setattr(item.take.source, name, value)  # type: ignore[union-attr]

    return change


def _lock(item: Item) -> None:
    item.info["C_LOCK"] = 1.0


def _beyond(item: Item) -> None:
    item.take.info["D_STARTOFFS"] = 7.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_no_take, "empty"),
        (_midi, "MIDI"),
        (_set_source(kind="_OFFLINE_WAVE"), "offline"),
        (_set_source(kind="RPP_PROJECT", path=""), "no audio file (RPP_PROJECT)"),
        (_set_source(path="/nowhere/song.wav"), "/nowhere/song.wav is missing"),
        (_set_source(channels=6), "6 channels"),
        (_lock, "locked"),
        (_beyond, "plays nothing"),
    ],
)
def test_what_cannot_be_done_exactly_is_refused_in_one_sentence(
    studio: Any, change: Callable[[Item], None], words: str
) -> None:
    item = add_item(studio)
    change(item)
    state = studio.project.state()
    studio.run()
    (message,) = studio.reaper.messages
    assert words in message
    assert "error of its own" not in message
    assert studio.project.state() == state
    assert not studio.engine.jobs
    assert not list((studio.reaper.data_dir / "spool").iterdir())


def test_without_a_selection_it_says_so(studio: Any) -> None:
    studio.run()
    assert studio.reaper.messages == ["Select an audio item first."]


def test_without_the_installer_s_settings_it_says_so(studio: Any) -> None:
    add_item(studio)
    del studio.reaper.ext["stemfix", "data_dir"]
    studio.run()
    assert "stemfix daw install reaper" in studio.reaper.messages[0]


# What the engine does


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("fail", "memory does not suffice"),
        ("gone", "missing"),
        ("short", "samples"),
        ("rate", "Hz"),
        ("channels", "channels"),
        ("empty", "no stems"),
    ],
)
def test_a_job_that_goes_wrong_changes_nothing(studio: Any, mode: str, words: str) -> None:
    add_item(studio)
    state = studio.project.state()
    studio.engine.mode = mode
    studio.run()
    (message,) = studio.reaper.messages
    assert words in message
    assert "Nothing was changed" in message
    assert studio.project.state() == state
    assert not studio.project.undo


def test_one_failed_item_of_several_stops_all(studio: Any) -> None:
    mix = studio.project.add_track("Mix")
    add_item(studio, mix)
    add_item(studio, mix, 4.0)
    state = studio.project.state()
    studio.engine.mode = "fail"
    studio.run()
    assert len(studio.reaper.messages) == 1
    assert studio.project.state() == state


def test_half_a_status_file_is_overlooked(studio: Any) -> None:
    add_item(studio)
    studio.engine.mode = "garbage"
    studio.run()
    assert studio.reaper.messages == []
    assert "Mix (stemfix)" in studio.tracks()


def test_an_engine_is_started_where_there_is_none(studio: Any) -> None:
    add_item(studio)
    studio.engine.alive = False
    (studio.reaper.data_dir / "engine.json").unlink()

    def start(command: str) -> str:
        studio.engine.alive = True
        return ""

    studio.reaper.on_start = start
    studio.run()
    (command,) = studio.reaper.started
    data = studio.reaper.data_dir
    assert shlex.split(command) == [f"{data}/python", f"{data}/reaper/start_engine.py", str(data)]
    compile((data / "reaper" / "start_engine.py").read_text(), "start_engine.py", "exec")
    assert "Mix (stemfix)" in studio.tracks()


def test_an_engine_that_does_not_come_is_told(studio: Any) -> None:
    add_item(studio)
    studio.engine.alive = False
    (studio.reaper.data_dir / "engine.json").unlink()
    studio.run(max_ticks=1200)
    (message,) = studio.reaper.messages
    assert "does not start" in message
    assert "stemfix doctor" in message
    assert len(studio.reaper.started) == 1
    assert "Mix (stemfix)" not in studio.tracks()


def test_a_python_that_is_gone_is_told(studio: Any) -> None:
    add_item(studio)
    studio.engine.alive = False
    (studio.reaper.data_dir / "engine.json").unlink()
    (studio.reaper.data_dir / "python").unlink()
    studio.run()
    assert "is not there" in studio.reaper.messages[0]
    assert not studio.reaper.started


def test_a_spool_that_cannot_be_written_is_told(studio: Any) -> None:
    add_item(studio)
    spool = studio.reaper.data_dir / "spool"
    spool.rmdir()
    spool.touch()
    state = studio.project.state()
    studio.run()
    (message,) = studio.reaper.messages
    assert "can't be written: Not a directory. Nothing was changed." in message
    assert studio.project.state() == state


@pytest.mark.parametrize(("deaths", "done"), [(1, True), (3, True), (4, False)])
def test_an_engine_that_dies_is_started_again_a_few_times(studio: Any, deaths: int, done: bool) -> None:
    add_item(studio)
    studio.engine.steps = 40

    def die(number: int) -> None:
        if number in [20 * (death + 1) for death in range(deaths)]:
            studio.engine.alive = False
            beat = studio.reaper.data_dir / "engine.json"
            beat.write_text(json.dumps({**json.loads(beat.read_text()), "pid": 2**22 + 5}))

    def start(command: str) -> str:
        studio.engine.alive = True
        studio.engine.step()
        return ""

    studio.reaper.on_start = start
    studio.run(on_tick=die)
    assert len(studio.reaper.started) == min(deaths, 3)
    assert ("Mix (stemfix)" in studio.tracks()) == done
    assert ["stopped 3 times" in message for message in studio.reaper.messages] == [True] * (not done)


# What the user does meanwhile


def at(number: int, what: Callable[[], None]) -> Callable[[int], None]:
    return lambda now: what() if now == number else None


def test_another_tab_stays_in_front_and_as_it_is(studio: Any) -> None:
    add_item(studio)
    other = studio.reaper.open("/other.rpp", studio.folder / "other")
    other.add_track("X")
    studio.reaper.active = studio.project
    studio.run(on_tick=at(5, lambda: setattr(studio.reaper, "active", other)))
    assert studio.reaper.active is other
    assert [track.name for track in other.tracks] == ["X"]
    assert not other.undo
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


def test_moves_trims_and_fades_are_followed(studio: Any) -> None:
    item = add_item(studio)

    def edit() -> None:
        item.info |= {"D_POSITION": 2.5, "D_LENGTH": 1.2, "D_FADEINLEN": 0.3, "D_VOL": 0.4}
        item.take.info["D_STARTOFFS"] += 0.7

    studio.run(on_tick=at(8, edit))
    assert studio.reaper.messages == []
    item.info["B_MUTE"] = 0.0
    after = render(studio.project, 8)
    item.info["B_MUTE"] = 1.0
    assert null_db(after, 2 * render(studio.project, 8)) <= -120


def test_another_track_is_followed(studio: Any) -> None:
    item = add_item(studio)
    other = studio.project.add_track("Other")

    def move() -> None:
        item.track.items.remove(item)
        other.items.append(item)
        item.track = other

    studio.run(on_tick=at(8, move))
    assert studio.tracks() == ["Mix", "Other", "Other (stemfix)", *STEMS]


def test_reversing_meanwhile_is_followed(studio: Any) -> None:
    item = add_item(studio, length=2.0)

    def reverse() -> None:
        item.take.own(item.take.source.section(0.0, 6.0, True))
        item.take.info["D_STARTOFFS"] = 2.0

    studio.run(on_tick=at(8, reverse))
    item.info["B_MUTE"] = 0.0
    mixed = render(studio.project, 8)
    item.info["B_MUTE"] = 1.0
    assert null_db(mixed, 2 * render(studio.project, 8)) <= -120


def test_undo_meanwhile_brings_other_pointers(studio: Any) -> None:
    item = add_item(studio)
    studio.project.undo.append(("move", studio.project.snapshot()))
    item.info["D_POSITION"] = 3.0
    before: list[Any] = []

    def undo() -> None:
        studio.project.undo_last()
        before.append(render(studio.project, 8))

    studio.run(on_tick=at(8, undo))
    assert studio.reaper.messages == []
    assert_same_sound(studio, before[0])


def _extend(studio: Any, item: Item) -> None:
    item.take.info["D_STARTOFFS"] = 0.5  # type: ignore[union-attr]


def _delete(studio: Any, item: Item) -> None:
    item.track.items.remove(item)


def _replace(studio: Any, item: Item) -> None:
    item.take.own(Source.of_file(studio.song("another.wav")))  # type: ignore[union-attr]


def _mark(studio: Any, item: Item) -> None:
    item.take.stretch_markers = [(0.0, 2.0), (1.0, 3.0)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_extend, "edited beyond"),
        (_delete, "deleted"),
        (_replace, "something else"),
        (_mark, "something else"),
    ],
)
def test_an_edit_that_cannot_be_followed_is_told_with_the_stems_place(
    studio: Any, edit: Callable[[Any, Item], None], words: str
) -> None:
    item = add_item(studio)
    states: list[str] = []

    def change() -> None:
        edit(studio, item)
        states.append(studio.project.state())

    studio.run(on_tick=at(8, change))
    (message,) = studio.reaper.messages
    assert words in message
    folder = message.rpartition("The stems are in ")[2]
    assert (Path(folder) / "bass.wav").is_file()
    assert studio.project.state() == states[0]


def test_a_project_that_was_closed_offers_the_stems_when_it_is_opened_again(studio: Any) -> None:
    add_item(studio)
    project = studio.project
    other = studio.reaper.open("/other.rpp", studio.folder / "other")
    studio.reaper.active = project
    studio.run(on_tick=at(8, lambda: studio.reaper.close(project)))
    (message,) = studio.reaper.messages
    assert "closed" in message
    assert "The stems are in" in message
    assert not other.tracks
    # An open tab of another project is asked nothing.
    _start_up(studio, 40)
    assert len(studio.reaper.messages) == 1
    project.tracks = project.snapshot()
    studio.reaper.projects.insert(0, project)
    studio.reaper.active = project
    before = render(project, 8)
    _start_up(studio, 80)
    assert "for this project" in studio.reaper.messages[1]
    assert_same_sound(studio, before)
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


def test_an_unsaved_project_that_was_closed_is_told(studio: Any) -> None:
    add_item(studio)
    studio.project.path = ""
    project = studio.project
    studio.run(on_tick=at(8, lambda: studio.reaper.close(project)))
    (message,) = studio.reaper.messages
    assert "The stems are in" in message
    assert "offered" not in message


def test_a_project_that_is_saved_under_another_name_meanwhile_gets_its_stems(studio: Any) -> None:
    add_item(studio)
    studio.run(on_tick=at(8, lambda: setattr(studio.project, "path", "/elsewhere/new name.rpp")))
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


def test_a_copy_of_the_project_is_left_alone(studio: Any) -> None:
    add_item(studio)
    project = studio.project
    copy = studio.reaper.open("/copy.rpp", studio.folder / "copy")
    copy.tracks = project.snapshot()
    for track in copy.tracks:
        track.project = copy
    studio.reaper.projects.reverse()
    state = copy.state()
    studio.reaper.active = project
    studio.run()
    assert copy.state() == state
    assert [track.name for track in project.tracks] == ["Mix", "Mix (stemfix)", *STEMS]
    studio.run(on_tick=at(8, lambda: studio.reaper.close(project)))
    assert copy.state() == state
    assert "closed" in studio.reaper.messages[0]


def _start_up(studio: Any, ticks: int) -> None:
    """REAPER starts, and its startup script runs for a while."""
    studio.reaper.start("Offer finished results")
    for number in range(ticks):
        studio.reaper._clock += 1 / 30
        if number % 4 == 0:
            studio.engine.step()
        studio.reaper.tick()
    studio.reaper.end()
    assert not studio.reaper.violations


def _quit(studio: Any, after_ticks: int) -> None:
    """REAPER quits in the middle; what it had in memory only is gone."""
    for number in range(after_ticks):
        studio.reaper._clock += 1 / 30
        if number % 4 == 0:
            studio.engine.step()
        studio.reaper.tick()
    studio.reaper.end()
    for key in ("session", "follower", "progress", "count"):
        studio.reaper.ext.pop(("stemfix", key), None)
    studio.project.tracks = studio.project.snapshot()


@pytest.mark.parametrize(("answer", "ticks"), [(6, 1), (6, 8), (7, 8)])
def test_after_a_restart_the_result_is_offered(studio: Any, answer: int, ticks: int) -> None:
    add_item(studio)
    state = studio.project.state()
    studio.reaper.start("Enhance selected item")
    _quit(studio, ticks)
    for _ in range(8):
        studio.engine.step()
    assert studio.project.state() == state
    before = render(studio.project, 8)
    studio.reaper.answer = answer
    _start_up(studio, 120)
    (message,) = studio.reaper.messages
    assert "stems of 'mix' for this project" in message
    if answer == 6:
        assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]
        assert_same_sound(studio, before)
    else:
        assert studio.project.state() == state
    # It is offered once.
    _start_up(studio, 40)
    assert len(studio.reaper.messages) == 1


def test_nothing_comes_in_while_reaper_records(studio: Any) -> None:
    add_item(studio)
    studio.project.play_state = 5

    def stop() -> None:
        assert studio.tracks() == ["Mix"]
        studio.project.play_state = 0

    studio.run(on_tick=at(120, stop))
    assert "Waiting for the recording to end" in studio.reaper.texts
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


# Cancel


def _press_escape(studio: Any) -> None:
    studio.reaper.key = 27


def _click(studio: Any) -> None:
    studio.reaper.mouse = (380, 85, 1)


@pytest.mark.parametrize("press", [_press_escape, _click])
def test_cancel_stops_the_engine_and_changes_nothing(studio: Any, press: Callable[[Any], None]) -> None:
    add_item(studio)
    state = studio.project.state()
    studio.engine.steps = 100
    studio.run(on_tick=at(20, lambda: press(studio)))
    studio.engine.step()
    assert [ended.value for ended in studio.engine.ended.values()] == ["cancelled"]
    assert studio.project.state() == state
    assert studio.reaper.messages == []


def test_a_click_elsewhere_is_not_a_cancel(studio: Any) -> None:
    add_item(studio)
    studio.run(on_tick=at(5, lambda: setattr(studio.reaper, "mouse", (100, 85, 1))))
    assert "Mix (stemfix)" in studio.tracks()


def test_closing_the_window_goes_on_without_it(studio: Any) -> None:
    add_item(studio)
    studio.run(on_tick=at(5, lambda: setattr(studio.reaper, "key", -1)))
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


def test_reaimgui_draws_the_window_where_it_is_installed(studio: Any) -> None:
    studio.reaper.imgui = imgui = ImGui()
    track = studio.project.add_track("Mix")
    for position in range(20):
        add_item(studio, track, position * 2.0)
    studio.run()
    assert studio.reaper.texts == []
    assert "1 of 20: Separating, 13 s left" in imgui.texts
    assert "Mix (stemfix)" in studio.tracks()


def test_reaimgui_s_buttons_work(studio: Any) -> None:
    studio.reaper.imgui = imgui = ImGui()
    add_item(studio)
    studio.engine.steps = 100
    studio.run(on_tick=at(20, lambda: setattr(imgui, "presses", True)))
    assert studio.tracks() == ["Mix"]
    imgui.presses = False
    studio.engine.steps = 4
    studio.run(on_tick=at(5, lambda: setattr(imgui, "closes", True)))
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


def test_a_reaimgui_that_fails_is_done_without(studio: Any) -> None:
    studio.reaper.imgui = imgui = ImGui()
    add_item(studio)
    studio.run(on_tick=at(5, lambda: setattr(imgui, "broken", True)))
    assert "Cancel" in studio.reaper.texts
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS]


def _second_script(studio: Any, action: str) -> None:
    """Start another script while one is running."""
    mine, studio.reaper.deferred = studio.reaper.deferred, []
    studio.reaper.start(action)
    studio.reaper.deferred = mine + studio.reaper.deferred


def test_the_action_cancel_stops_what_another_script_waits_for(studio: Any) -> None:
    add_item(studio)
    state = studio.project.state()
    studio.engine.steps = 100
    studio.run(on_tick=at(20, lambda: _second_script(studio, "Cancel")))
    studio.engine.step()
    assert [ended.value for ended in studio.engine.ended.values()] == ["cancelled"]
    assert studio.project.state() == state


@pytest.mark.parametrize("delay", range(10))
def test_cancel_comes_before_the_stems_or_after_them(studio: Any, delay: int) -> None:
    add_item(studio)
    left = [delay]

    def cancel(number: int) -> None:
        if studio.engine.ended:
            left[0] -= 1
            if left[0] == -1:
                _second_script(studio, "Cancel")

    studio.run(on_tick=cancel)
    too_late = studio.reaper.messages == ["stemfix is not working on anything."]
    assert ("Mix (stemfix)" in studio.tracks()) == (too_late or left[0] >= 0)


def test_a_job_that_is_cancelled_elsewhere_ends_without_a_word(studio: Any) -> None:
    add_item(studio)
    studio.engine.steps = 100

    def cancel() -> None:
        next((studio.reaper.data_dir / "spool").iterdir()).joinpath("cancel").touch()

    studio.run(on_tick=at(20, cancel))
    assert studio.reaper.messages == []
    assert studio.tracks() == ["Mix"]


def test_cancel_with_nothing_to_cancel_says_so(studio: Any) -> None:
    studio.run("Cancel")
    assert studio.reaper.messages == ["stemfix is not working on anything."]


# Several at a time


@pytest.mark.parametrize("old_goes_on", [True, False])
def test_a_second_start_takes_over_what_the_first_waited_for(studio: Any, old_goes_on: bool) -> None:
    first = add_item(studio)
    studio.engine.steps = 12
    second = studio.project.add_track("Two")

    def again() -> None:
        first.info["B_UISEL"] = 0.0
        add_item(studio, second, 3.0)
        if not old_goes_on:
            studio.reaper.end()
        _second_script(studio, "Enhance selected item")

    waiting: list[int] = []

    def on_tick(number: int) -> None:
        if number == 6:
            again()
        if number > 8:
            waiting.append(len(studio.reaper.deferred))

    studio.run(on_tick=on_tick)
    assert set(waiting) == {1}
    assert studio.reaper.messages == []
    assert studio.tracks() == ["Mix", "Mix (stemfix)", *STEMS, "Two", "Two (stemfix)", *STEMS]
    assert len(studio.project.undo) == 2


def test_a_reaper_without_action_options_serves(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import reaper

    monkeypatch.delitem(reaper.SIGNATURES, "set_action_options")
    add_item(studio)
    studio.run()
    assert "Mix (stemfix)" in studio.tracks()


def test_windows_has_its_own_way_to_start_and_write(studio: Any) -> None:
    studio.reaper.system = "Win64"
    studio.engine.alive = False
    (studio.reaper.data_dir / "engine.json").unlink()
    waits: list[int] = []
    real = studio.reaper._api.ExecProcess

    def start(command: str, wait: int) -> Any:
        waits.append(wait)
        studio.engine.alive = True
        return real(command, wait)

    studio.reaper._api.ExecProcess = start
    add_item(studio)
    studio.run()
    assert waits == [-2]
    assert "Mix (stemfix)" in studio.tracks()


# The other actions


def job_fields(studio: Any) -> list[Any]:
    return [
        json.loads(path.read_text()) for path in sorted((studio.reaper.data_dir / "spool").glob("*/job.json"))
    ]


def test_separate_uses_no_preset_and_enhance_the_user_s(studio: Any) -> None:
    add_item(studio)
    studio.reaper.ext["stemfix", "preset"] = "maximum"
    studio.run()
    studio.run("Separate selected item")
    assert [job["preset"] for job in job_fields(studio)] == ["maximum", "none"]
    assert [label for label, _ in studio.project.undo][1] == "stemfix: Separate selected item"
    assert all(job["client"] == "reaper" and job["priority"] == "daw" for job in job_fields(studio))


def test_the_preset_can_be_asked_for(studio: Any) -> None:
    add_item(studio)
    studio.reaper.input = " fast "
    studio.run("Enhance selected item with preset")
    assert [job["preset"] for job in job_fields(studio)] == ["fast"]
    studio.reaper.input = "loud"
    studio.run("Enhance selected item with preset")
    assert "no preset 'loud'" in studio.reaper.messages[0]
    studio.reaper.input = None
    studio.run("Enhance selected item with preset")
    assert len(job_fields(studio)) == 1


@pytest.mark.parametrize(
    ("selection", "pieces", "loops"),
    [
        ((1.5, 2.5), 3, False),
        ((0.0, 2.0), 2, False),
        ((2.0, 9.0), 2, False),
        ((0.5, 3.0), 1, False),
        ((2.0, 7.0), 3, True),
    ],
)
def test_only_what_the_time_selection_holds_is_replaced(
    studio: Any, selection: tuple[float, float], pieces: int, loops: bool
) -> None:
    item = add_item(studio, length=8.0 if loops else 2.0, D_PLAYRATE=1.3, B_PPITCH=0.0)
    item.info |= {"D_FADEINLEN": 0.3, "D_FADEOUTLEN": 0.2, "B_LOOPSRC": float(loops)}
    studio.project.time_selection = selection
    before, state = render(studio.project, 10), studio.project.state()
    studio.run("Enhance time selection")
    assert studio.reaper.messages == []
    items = studio.project.track("Mix").items
    assert len(items) == pieces
    (muted,) = [item for item in items if item.info["B_MUTE"]]
    assert muted.info["D_POSITION"] == pytest.approx(max(selection[0], 1.0))
    assert_same_sound(studio, before, 10)
    studio.project.undo_last()
    assert studio.project.state() == state


def test_the_time_selection_takes_the_items_of_selected_tracks(studio: Any) -> None:
    item = add_item(studio)
    item.info["B_UISEL"] = 0.0
    studio.project.time_selection = (1.5, 2.5)
    studio.run("Enhance time selection")
    item.track.info["I_SELECTED"] = 1.0
    studio.run("Enhance time selection")
    assert "Select the items or the tracks" in studio.reaper.messages[0]
    assert len(studio.project.track("Mix").items) == 3


@pytest.mark.parametrize(
    ("selection", "words"), [((0.0, 0.0), "Make a time selection"), ((5.0, 6.0), "None of the selected")]
)
def test_a_time_selection_of_nothing_is_refused(
    studio: Any, selection: tuple[float, float], words: str
) -> None:
    add_item(studio)
    studio.project.time_selection = selection
    studio.run("Enhance time selection")
    assert words in studio.reaper.messages[0]


@pytest.mark.parametrize(
    ("side", "cut", "free"),
    [("OUT", (1.5, 2.7), (1.5, 2.4)), ("IN", (1.3, 2.7), (1.6, 2.7)), ("OUT", (2.7, 5.0), (2.4, 5.0))],
)
def test_a_time_selection_that_would_cut_a_fade_is_refused(
    studio: Any, side: str, cut: tuple[float, float], free: tuple[float, float]
) -> None:
    item = add_item(studio)
    item.info |= {"D_FADEINLEN": 0.0, "D_FADEOUTLEN": 0.0, f"D_FADE{side}LEN": 0.5}
    state = studio.project.state()
    studio.project.time_selection = cut
    studio.run("Enhance time selection")
    assert "within a fade of 'mix'" in studio.reaper.messages[0]
    # The user makes it longer meanwhile.
    studio.project.time_selection = free
    studio.run(
        "Enhance time selection", on_tick=at(8, lambda: item.info.update({f"D_FADE{side}LEN_AUTO": 1.5}))
    )
    assert "fade by now" in studio.reaper.messages[1]
    item.info[f"D_FADE{side}LEN_AUTO"] = -1.0
    assert studio.project.state() == state


def test_the_last_result_can_be_imported_again(studio: Any) -> None:
    add_item(studio)
    before = render(studio.project, 8)
    studio.run()
    studio.project.undo_last()
    studio.run("Import last result")
    assert studio.reaper.messages == []
    assert_same_sound(studio, before)
    assert len(job_fields(studio)) == 1
    other = studio.reaper.open("/other.rpp", studio.folder / "other")
    studio.run("Import last result")
    assert studio.reaper.messages == ["stemfix has no result for this project yet."]
    assert not other.tracks


def _make_page(studio: Any, code: int, said: str, writes: bool = True) -> Callable[[str], str]:
    """`stemfix report` in the background."""

    def start(command: str) -> str:
        words = shlex.split(command)
        if words[0] == "/usr/bin/xdg-open":
            return ""
        _, maker, data, folder, log, status = words
        assert (words[0], data) == (f"{studio.reaper.data_dir}/python", str(studio.reaper.data_dir))
        compile(Path(maker).read_text(), maker, "exec")
        assert Path(folder).is_dir()
        if writes:
            Path(log).write_text(said)
            Path(status).write_text(str(code))
        return ""

    return start


def test_the_comparison_page_is_made_and_opened(studio: Any) -> None:
    add_item(studio)
    studio.run()
    studio.reaper.on_start = _make_page(studio, 0, "")
    studio.run("Open comparison page")
    assert studio.reaper.messages == []
    make, show = studio.reaper.started
    folder = shlex.split(make)[3]
    assert shlex.split(show) == ["/usr/bin/xdg-open", f"{folder}/comparison.html"]
    assert not list((studio.reaper.data_dir / "reaper").glob("page-*"))
    Path(folder, "comparison.html").touch()
    studio.run("Open comparison page")
    assert len(studio.reaper.started) == 3


def test_a_comparison_page_that_can_t_be_made_is_told(studio: Any) -> None:
    add_item(studio)
    studio.run()
    studio.reaper.on_start = _make_page(studio, 2, "Reading ...\nThe recording is gone. Run the job again.\n")
    studio.run("Open comparison page")
    (message,) = studio.reaper.messages
    assert "could not be made. 'stemfix report' failed. It said: The recording is gone." in message
    folder = message.rpartition("The result is in ")[2]
    assert Path(folder).is_dir()
    assert len(studio.reaper.started) == 1
    (studio.reaper.data_dir / "python").unlink()
    studio.run("Open comparison page")
    assert "stemfix daw install reaper" in studio.reaper.messages[1]
    assert len(studio.reaper.started) == 1


def test_nobody_has_to_wait_for_the_comparison_page(studio: Any) -> None:
    add_item(studio)
    studio.run()
    studio.reaper.on_start = _make_page(studio, 0, "", writes=False)
    studio.run("Open comparison page", on_tick=at(10, lambda: setattr(studio.reaper, "key", 27)))
    assert studio.reaper.messages == []
    assert "Making the comparison page" in studio.reaper.texts
    assert len(studio.reaper.started) == 1


def test_a_comparison_page_that_hangs_is_told(studio: Any) -> None:
    add_item(studio)
    studio.run()
    studio.reaper.on_start = _make_page(studio, 0, "", writes=False)
    studio.run(
        "Open comparison page",
        on_tick=at(10, lambda: setattr(studio.reaper, "_clock", studio.reaper._clock + 901)),
    )
    assert "does not come to an end" in studio.reaper.messages[0]


# How long it takes


@pytest.mark.parametrize("count", [1, 60])
def test_no_tick_outside_the_import_is_longer_than_5_ms(studio: Any, count: int) -> None:
    track = studio.project.add_track("Mix")
    for number in range(count):
        add_item(studio, track, position=number * 2.0)
    studio.run(max_ticks=2000)
    longest = max(seconds for seconds, changed in studio.reaper.ticks if not changed)
    assert longest < 0.005
    assert sum(changed for _, changed in studio.reaper.ticks) == 1


def test_a_job_s_source_is_never_written(studio: Any) -> None:
    item = add_item(studio)
    path = Path(item.take.source.path)
    before = path.read_bytes()
    studio.run()
    assert path.read_bytes() == before
    assert soundfile.info(studio.project.track("bass").items[0].take.source.path).samplerate == 48000

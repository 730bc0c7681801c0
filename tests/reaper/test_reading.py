"""What can't be named as frames of a file is read as REAPER plays it: exactly, and without a trace."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from api import ApiError
from model import Item, Source
from render import null_db, render

RATE = 8000
MARKERS = [(0.0, 1.0), (0.5, 1.8), (1.5, 2.2)]

#: Where the place of an item or of its sound lies between frames, its first frame has nothing before it.
CASES: dict[str, dict[str, Any]] = {
    "ogg": {},
    "mp3": {"name": "song.mp3"},
    "mono": {"channels": 1},
    "another rate": {"rate": 11025},
    "looped": {"item": {"B_LOOPSRC": 1.0, "D_LENGTH": 8.0}, "take": {"D_STARTOFFS": 3.0}},
    "beyond the end": {"take": {"D_STARTOFFS": 3.0}},
    "from before the start": {"take": {"D_STARTOFFS": -0.5}},
    "between frames": {"take": {"D_STARTOFFS": 1.23456789}},
    "hardly off a frame": {"take": {"D_STARTOFFS": 1.000000002}},
    "between frames of the project": {"item": {"D_POSITION": 1.00007}},
    "playrate": {"take": {"D_PLAYRATE": 1.25, "D_PITCH": 2.0}},
    "reversed": {"section": [(0.0, 4.0, True)]},
    "section": {"section": [(0.5, 3.0, False)]},
    "section of a section": {"name": "song.wav", "section": [(0.5, 3.5, False), (0.25, 3.0, True)]},
    "stretch markers": {"name": "song.wav", "markers": MARKERS},
    "stretch markers, faster": {"name": "song.wav", "markers": MARKERS, "take": {"D_PLAYRATE": 1.5}},
    "fades and gains": {
        "item": {"D_FADEINLEN": 0.2, "D_FADEOUTLEN": 0.4, "C_FADEINSHAPE": 3.0, "D_VOL": 2.5},
        "take": {"D_PAN": -0.3, "D_VOL": -1.1},
    },
    "left channel": {"take": {"I_CHANMODE": 3.0}},
    "mono of both": {"take": {"I_CHANMODE": 2.0}},
    "left channel, applied": {"take": {"I_CHANMODE": 3.0}},
    "mono of both, applied": {"take": {"I_CHANMODE": 2.0}},
}


def song(
    studio: Any, name: str = "song.ogg", seconds: float = 4.0, rate: int = RATE, channels: int = 2
) -> str:
    """Soft noise, which a coder can keep."""
    path = studio.folder / name
    noise = np.random.default_rng(3).standard_normal((round(seconds * rate), channels)) * 0.05
    soundfile.write(path, noise, rate, subtype="DOUBLE" if path.suffix == ".wav" else None)
    return str(path)


def arrange(studio: Any, **what: Any) -> Item:
    """A selected item of two seconds on a track "Mix"."""
    studio.project.rate = RATE
    source = Source.of_file(
        song(studio, **{key: what[key] for key in ("name", "rate", "channels", "seconds") if key in what})
    )
    for section in what.get("section", ()):
        source = source.section(*section)
    item: Item = studio.project.add_track("Mix").add_item(
        source,
        what.get("take_name", "mix"),
        take={"D_STARTOFFS": 1.0, "B_PPITCH": 0.0} | what.get("take", {}),
        **{"D_POSITION": 1.0, "D_LENGTH": 2.0, "B_UISEL": 1.0, "B_LOOPSRC": 0.0}
        | {"D_FADEINLEN": 0.0, "D_FADEOUTLEN": 0.0}
        | what.get("item", {}),
    )
    assert item.take
    item.take.stretch_markers = list(what.get("markers", ()))
    return item


def left(studio: Any) -> list[str]:
    """What lies in the project's folder for stems, results apart."""
    folder = Path(studio.project.folder) / "stemfix"
    return sorted(path.name for path in folder.glob("*") if path.is_file()) if folder.exists() else []


def nothing_left(studio: Any) -> bool:
    return not (Path(studio.project.folder) / "stemfix").exists()


def at(number: int, what: Callable[[], None]) -> Callable[[int], None]:
    return lambda now: what() if now == number else None


@pytest.mark.parametrize("case", CASES)
def test_the_stems_sum_to_the_item(studio_of: Any, case: str) -> None:
    studio, what = studio_of, CASES[case]
    studio.reaper.accessor_applies_channel_mode = "applied" in case
    studio.reaper.accessor_start = 7.5
    item = arrange(studio, **what)
    project = studio.project
    seconds = 1.2 + item.info["D_LENGTH"]
    before, state = render(project, seconds), project.state()
    assert abs(before).max() > 0.01
    studio.run()
    assert studio.reaper.messages == []
    after = render(project, seconds)
    first = int(np.ceil(item.info["D_POSITION"] * RATE - 1e-6))
    if "between" in case or case == "another rate":
        # At the very edges a resampler looks beyond the item, where there is nothing in the stems.
        last = int(np.ceil((item.info["D_POSITION"] + item.info["D_LENGTH"]) * RATE - 1e-6)) - 1
        for edge in (first, last):
            assert abs(before - after)[edge].max() < 0.2
            before[edge] = after[edge] = 0.0
    assert null_db(before, after) <= -120
    stem = project.track("bass").items[0]
    assert (stem.take.info["D_PLAYRATE"], stem.take.info["D_PITCH"], stem.info["B_LOOPSRC"]) == (1, 0, 0)
    assert stem.take.info["D_STARTOFFS"] <= 1 / RATE
    project.undo_last()
    assert project.state() == state


def test_the_file_s_own_frames_are_read_not_ones_between_them(studio: Any) -> None:
    item = arrange(studio, take={"D_STARTOFFS": 1.00004})
    studio.run()
    (name,) = left(studio)
    read, rate = soundfile.read(Path(studio.project.folder) / "stemfix" / name, dtype="float32")
    own, _ = soundfile.read(item.take.source.path, dtype="float64")  # type: ignore[union-attr]
    assert rate == RATE
    assert len(read) == 2 * RATE + 1
    assert np.abs(read[1:] - own[RATE + 1 :][: len(read) - 1]).max() < 1e-7


def test_what_is_read_is_a_float_file_of_a_known_length(studio: Any) -> None:
    arrange(studio, take_name='a/b: "ünï".mp3')
    studio.run()
    (name,) = left(studio)
    assert name.startswith("a_b_ _ünï_-")
    data = (Path(studio.project.folder) / "stemfix" / name).read_bytes()
    assert struct.unpack("<4sI4s", data[:12]) == (b"RIFF", len(data) - 8, b"WAVE")
    assert soundfile.info(Path(studio.project.folder) / "stemfix" / name).subtype == "FLOAT"
    assert len(data) == 44 + 2 * RATE * 2 * 4


@pytest.mark.parametrize("mode", [1.0, 5.0, 67.0])
def test_a_channel_mode_that_might_be_applied_twice_is_refused(studio: Any, mode: float) -> None:
    arrange(studio, take={"I_CHANMODE": mode})
    state = studio.project.state()
    studio.run()
    assert "channel mode" in studio.reaper.messages[0]
    assert studio.project.state() == state
    assert nothing_left(studio)


def test_what_is_too_long_for_a_wav_file_is_refused(studio: Any) -> None:
    arrange(studio, item={"D_LENGTH": 80000.0, "B_LOOPSRC": 1.0})
    studio.run()
    assert "too long" in studio.reaper.messages[0]
    assert nothing_left(studio)


def test_a_part_of_an_item_is_read_with_handles(studio: Any) -> None:
    arrange(studio, item={"D_LENGTH": 3.0})
    studio.project.time_selection = (2.25, 3.0)
    before, state = render(studio.project, 5), studio.project.state()
    studio.run("Enhance time selection")
    assert studio.reaper.messages == []
    items = sorted(studio.project.track("Mix").items, key=lambda item: item.info["D_POSITION"])
    assert [item.info["B_MUTE"] for item in items] == [0, 1, 0]
    assert null_db(before, render(studio.project, 5)) <= -120
    stem = studio.project.track("bass").items[0].take
    assert stem.source.length == pytest.approx(2.75)
    assert stem.info["D_STARTOFFS"] == pytest.approx(1.0)
    studio.project.undo_last()
    assert studio.project.state() == state


def test_stretch_markers_are_not_split(studio: Any) -> None:
    arrange(studio, markers=MARKERS)
    studio.project.time_selection = (1.5, 2.5)
    studio.run("Enhance time selection")
    assert "Select all of the item" in studio.reaper.messages[0]
    assert nothing_left(studio)


def test_several_are_read_one_after_the_other(studio: Any) -> None:
    one = arrange(studio)
    two = one.track.add_item(
        Source.of_file(one.take.source.path),  # type: ignore[union-attr]
        "two",
        take={"D_STARTOFFS": 0.5},
        D_POSITION=4.0,
        D_LENGTH=1.0,
        B_UISEL=1.0,
        B_LOOPSRC=0.0,
    )
    exact = Source.of_file(studio.song(seconds=3.0, rate=RATE))
    one.track.add_item(exact, "three", D_POSITION=6.0, D_LENGTH=1.0, B_UISEL=1.0, B_LOOPSRC=0.0)
    before = render(studio.project, 8)
    studio.run()
    assert "1 of 3: Reading 'mix'" in studio.reaper.texts
    assert two.info["B_MUTE"] == 1
    assert null_db(before, render(studio.project, 8)) <= -120
    assert len(left(studio)) == 2


def test_no_tick_of_reading_is_longer_than_5_ms(studio: Any) -> None:
    slow(studio)
    # The stand-in decodes a file as a whole, when it is heard first.
    sound_of(studio)
    studio.run()
    longest = max(seconds for seconds, changed in studio.reaper.ticks if not changed)
    assert longest < 0.005
    assert ".part" not in str(left(studio))


# What happens meanwhile


LENGTH_S = 25.0


def slow(studio: Any, **what: Any) -> Item:
    """An item that takes many ticks to read."""
    return arrange(studio, item={"D_LENGTH": LENGTH_S, "B_LOOPSRC": 1.0}, **what)


def sound_of(studio: Any) -> Any:
    return render(studio.project, LENGTH_S + 6)


def meanwhile(studio: Any, what: Callable[[], None]) -> Callable[[int], None]:
    """Do something once, while the item is being read."""
    done: list[int] = []

    def on_tick(number: int) -> None:
        if not done and studio.reaper.accessors:
            done.append(number)
            reads(studio)
            what()

    return on_tick


def reads(studio: Any) -> None:
    """Fails unless the reading is under way."""
    assert len(left(studio)) == 1
    assert left(studio)[0].endswith(".part")
    assert studio.reaper.accessors


@pytest.mark.parametrize("way", ["escape", "action"])
def test_cancel_leaves_nothing(studio: Any, way: str) -> None:
    slow(studio)
    state = studio.project.state()

    def cancel() -> None:
        if way == "escape":
            studio.reaper.key = 27
        else:
            mine, studio.reaper.deferred = studio.reaper.deferred, []
            studio.reaper.start("Cancel")
            studio.reaper.deferred = mine + studio.reaper.deferred

    studio.run(on_tick=meanwhile(studio, cancel))
    assert studio.reaper.messages == []
    assert studio.project.state() == state
    assert nothing_left(studio)
    assert not studio.engine.jobs


def test_cancel_while_the_last_block_is_read_leaves_nothing(studio: Any) -> None:
    arrange(studio, item={"D_LENGTH": 0.1})

    def cancel(name: str, number: int) -> None:
        if name == "GetAudioAccessorSamples":
            (batch,) = (studio.reaper.data_dir / "reaper" / "pending").glob("*.json")
            batch.unlink()

    studio.reaper.before_call = cancel
    studio.run()
    assert studio.reaper.calls.count("GetAudioAccessorSamples") == 1
    assert studio.reaper.messages == []
    assert nothing_left(studio)


def test_a_folder_that_was_there_stays(studio: Any) -> None:
    slow(studio)
    folder = Path(studio.project.folder) / "stemfix"
    folder.mkdir()
    studio.run(on_tick=meanwhile(studio, lambda: setattr(studio.reaper, "key", 27)))
    assert list(folder.iterdir()) == []


def test_closing_the_project_leaves_nothing(studio: Any) -> None:
    slow(studio)
    project = studio.project
    studio.reaper.open("/other.rpp", studio.folder / "other")
    studio.reaper.active = project

    def close() -> None:
        studio.reaper.close(project)

    studio.run(on_tick=meanwhile(studio, close))
    (message,) = studio.reaper.messages
    assert "closed or deleted before stemfix had read it. Nothing was changed." in message
    assert not (Path(project.folder) / "stemfix").exists()


def test_deleting_the_item_leaves_nothing(studio: Any) -> None:
    item = slow(studio)
    studio.run(on_tick=meanwhile(studio, lambda: item.track.items.remove(item)))
    assert "closed or deleted" in studio.reaper.messages[0]
    assert nothing_left(studio)


def test_moving_and_fading_the_item_is_followed(studio: Any) -> None:
    item = slow(studio)
    sound: list[Any] = []

    def edit() -> None:
        item.info |= {"D_POSITION": 2.0, "D_FADEINLEN": 0.5, "D_VOL": 0.3}
        sound.append(sound_of(studio))

    studio.run(on_tick=meanwhile(studio, edit))
    assert studio.reaper.messages == []
    assert null_db(sound[0], sound_of(studio)) <= -120


def _trim(item: Item) -> None:
    item.info["D_LENGTH"] = 30.0


def _slip(item: Item) -> None:
    item.take.info["D_STARTOFFS"] = 0.5  # type: ignore[union-attr]


def _tune(item: Item) -> None:
    item.take.info["D_PITCH"] = 1.0  # type: ignore[union-attr]


def _mark(item: Item) -> None:
    item.take.stretch_markers = MARKERS  # type: ignore[union-attr]


@pytest.mark.parametrize("edit", [_trim, _slip, _tune, _mark])
def test_an_edit_of_its_sound_while_it_is_read_is_told(studio: Any, edit: Callable[[Item], None]) -> None:
    item = slow(studio)
    studio.run(on_tick=meanwhile(studio, lambda: edit(item)))
    (message,) = studio.reaper.messages
    assert "was edited while stemfix read it. Run the action again. Nothing was changed." in message
    assert nothing_left(studio)


def test_undo_brings_other_pointers_and_the_reading_begins_anew(studio: Any) -> None:
    slow(studio)
    studio.project.undo.append(("colour", studio.project.snapshot()))
    sound = sound_of(studio)

    def undo() -> None:
        studio.project.undo_last()

    studio.run(on_tick=meanwhile(studio, undo))
    assert studio.reaper.messages == []
    assert null_db(sound, sound_of(studio)) <= -120
    assert len(left(studio)) == 1


@pytest.mark.parametrize("how", ["ends", "crashes"])
def test_after_a_restart_of_reaper_it_is_read_anew(studio: Any, how: str) -> None:
    slow(studio)
    reaper, project = studio.reaper, studio.project
    sound = sound_of(studio)
    reaper.start("Enhance selected item")
    while not reaper.accessors:
        reaper._clock += 1 / 30
        reaper.tick()
    reads(studio)
    if how == "crashes":
        reaper.at_exit = []
        reaper.accessors.clear()
        reaper.window_open = False
    projects, reaper.projects = reaper.projects, []
    # A quitting REAPER has freed its accessors already, and to free one again would crash it.
    reaper.end()
    reaper.accessors.clear()
    reaper.projects = projects
    assert nothing_left(studio) == (how == "ends")
    for key in ("session", "follower", "progress", "count"):
        reaper.ext.pop(("stemfix", key), None)
    project.tracks = project.snapshot()
    reaper.start("Offer finished results")
    for number in range(1500):
        reaper._clock += 1 / 30
        if number % 4 == 0:
            studio.engine.step()
        reaper.tick()
        if len(project.tracks) > 1:
            break
    reaper.end()
    assert reaper.violations == []
    assert "unfinished stems of 'mix'" in reaper.messages[0]
    assert null_db(sound, sound_of(studio)) <= -120
    assert len(left(studio)) == 1


def test_a_second_start_reads_what_the_first_had_begun_with(studio: Any) -> None:
    slow(studio)
    sound: list[Any] = []

    def again() -> None:
        mine, studio.reaper.deferred = studio.reaper.deferred, []
        studio.project.track("Mix").items[0].info["B_UISEL"] = 0.0
        studio.project.track("Mix").add_item(
            Source.of_file(studio.song(rate=RATE)),
            "new",
            D_POSITION=27.0,
            D_LENGTH=1.0,
            B_UISEL=1.0,
        )
        sound.append(sound_of(studio))
        studio.reaper.start("Enhance selected item")
        studio.reaper.deferred = mine + studio.reaper.deferred

    studio.run(on_tick=meanwhile(studio, again))
    assert studio.reaper.messages == []
    assert null_db(sound[0], sound_of(studio)) <= -120
    assert len(left(studio)) == 1
    assert len(studio.project.undo) == 2


# What goes wrong


def test_an_accessor_that_fails_is_told(studio: Any) -> None:
    slow(studio)
    studio.run(on_tick=meanwhile(studio, lambda: setattr(studio.reaper, "accessor_fails", True)))
    (message,) = studio.reaper.messages
    assert "REAPER can't read the sound of 'mix'. Nothing was changed." in message
    assert nothing_left(studio)


def test_whichever_call_fails_while_it_is_read_nothing_is_left(studio: Any) -> None:
    item = arrange(studio, item={"D_LENGTH": 0.4})
    reaper, project = studio.reaper, studio.project
    state, snapshot = project.state(), project.snapshot
    tracks = snapshot()
    studio.run()
    calls = list(reaper.calls)
    first, last = calls.index("CreateTakeAudioAccessor"), calls.index("DestroyAudioAccessor")
    outcomes = set()
    for number in range(first - 4, last + 1):
        if calls[number] in ("ShowMessageBox", "defer"):
            # Without these there is nobody left who could say or do anything.
            continue
        for path in (Path(project.folder) / "stemfix").glob("*.wav"):
            path.unlink()
        project.tracks, project.undo = tracks, []
        tracks = snapshot()
        reaper.calls.clear()
        reaper.messages.clear()
        for key in ("session", "follower", "progress"):
            reaper.ext.pop(("stemfix", key), None)
        failed: list[str] = []

        def fail(
            name: str,
            count: int,
            number: int = number,
            wanted: str = calls[number],
            failed: list[str] = failed,
        ) -> None:
            if not failed and count > number and name == wanted:
                failed.append(name)
                raise ApiError(f"injected into {name}")

        reaper.before_call = fail
        with suppress(ApiError):
            studio.run()
        reaper.end()
        reaper.before_call = lambda name, count: None
        assert reaper.violations == [], calls[number]
        if project.state() == state:
            outcomes.add("nothing")
            # Unless REAPER ended the script: then the next one goes on; or the stems are there.
            waits = list((reaper.data_dir / "reaper" / "pending").glob("*.json"))
            kept = any("The stems are in" in message for message in reaper.messages)
            assert waits or kept or left(studio) == [], calls[number]
            assert not any(name.endswith(".part") for name in left(studio)), calls[number]
        else:
            outcomes.add("everything")
            assert len(left(studio)) == 1
        for pending in (reaper.data_dir / "reaper" / "pending").glob("*.json"):
            pending.unlink()
    assert item.info["B_MUTE"] == 1
    assert outcomes == {"nothing", "everything"}


def test_a_folder_that_can_t_be_written_is_told(studio: Any) -> None:
    arrange(studio)
    folder = Path(studio.project.folder) / "stemfix"
    folder.touch()
    studio.run()
    (message,) = studio.reaper.messages
    assert "can't be written: Not a directory. Nothing was changed." in message
    assert folder.is_file()


def test_a_full_disk_is_told(studio: Any) -> None:
    slow(studio)
    full = "full"

    def fill() -> None:
        # What the disk says from now on.
        studio.reaper.runtime.execute(
            f"local real = string.pack string.pack = function () string.pack = real error ('{full}', 0) end"
        )

    studio.run(on_tick=meanwhile(studio, fill))
    assert full in studio.reaper.messages[0]
    assert nothing_left(studio)


def test_a_job_that_fails_takes_what_was_read_away(studio: Any) -> None:
    arrange(studio)
    studio.engine.mode = "fail"
    studio.run()
    assert "memory does not suffice" in studio.reaper.messages[0]
    assert left(studio) == []


def test_an_edit_after_the_reading_is_followed_or_told(studio: Any) -> None:
    item = arrange(studio, item={"D_FADEOUTLEN": 0.1})
    studio.engine.steps = 20
    sound: list[Any] = []

    def trim() -> None:
        assert studio.engine.jobs
        item.info |= {"D_POSITION": 1.5, "D_LENGTH": 1.0}
        item.take.info["D_STARTOFFS"] += 0.5  # type: ignore[union-attr]
        sound.append(render(studio.project, 4))

    studio.run(on_tick=at(60, trim))
    assert studio.reaper.messages == []
    assert null_db(sound[0], render(studio.project, 4)) <= -120
    studio.project.undo_last()
    item = studio.project.track("Mix").items[0]

    def extend() -> None:
        assert len(studio.engine.jobs) == 2
        item.info["D_LENGTH"] = 1.5

    studio.run(on_tick=at(60, extend))
    assert "edited beyond what was separated" in studio.reaper.messages[0]


def test_trimming_an_item_with_stretch_markers_is_told(studio: Any) -> None:
    item = arrange(studio, markers=MARKERS)
    studio.engine.steps = 20

    def trim() -> None:
        item.info |= {"D_POSITION": 1.5, "D_LENGTH": 1.0}
        item.take.info["D_STARTOFFS"] += 0.5  # type: ignore[union-attr]

    studio.run(on_tick=at(60, trim))
    assert "edited beyond what was separated" in studio.reaper.messages[0]


def test_take_effects_of_what_was_read_are_treated_as_of_others(studio: Any) -> None:
    item = arrange(studio)
    item.take.effects.append("EQ")  # type: ignore[union-attr]
    studio.run()
    assert "take effects of 'mix' stay on the muted original" in studio.reaper.messages[0]

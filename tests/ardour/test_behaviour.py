"""One Ardour and what can happen in it: undo, cancel, a dying engine, a full disk, damaged files, a crash."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from app import Ardour, Home, wait_for
from session_file import read_session

RATE = 48_000
STEMS = ("drums", "bass", "other", "vocals")
_STATE = """
for _, t in ipairs (Session:get_tracks ():table ()) do
  local parts = {}
  for _, r in ipairs (t:to_track ():playlist ():region_list ():table ()) do
    parts[#parts + 1] = r:name () .. "@" .. r:position ():samples () .. (r:muted () and " muted" or "")
  end
  say (t:name (), table.concat (parts, "; "))
end
"""


class Bench:
    """A session with a new region per test, and what the tests do with it."""

    def __init__(self, home: Home, start: Callable[[Path], Ardour], folder: Path) -> None:
        self.home, self.start, self.folder = home, start, folder
        self.session = home.new_session("behaviour", RATE)
        self.ardour = start(self.session)

    def region(self, name: str, seconds: float = 2.0) -> str:
        """A new track with one region of noise."""
        generator = np.random.default_rng(len(name))
        audio = (0.1 * generator.standard_normal((int(seconds * RATE), 2))).astype(np.float32)
        path = self.folder / f"{name}.wav"
        soundfile.write(path, audio, RATE, subtype="FLOAT")
        id = self.ardour.add_region(path, 4_321)
        self.ardour.select(id)
        return id

    def state(self) -> dict[str, str]:
        """Regions by track."""
        return dict([*line.split("\t"), ""][:2] for line in self.ardour.lua(_STATE))  # type: ignore[misc]

    def run(self, action: str, outcome: str, timeout_s: float = 60.0) -> str:
        """Trigger an action and wait for its outcome in the log."""
        since = len(self.home.log())
        self.ardour.act(action)
        return self.ardour.wait_for_log(outcome, since, timeout_s)

    def refused(self, action: str, message: str, timeout_s: float = 60.0) -> None:
        """Trigger an action that ends with this message in a dialog, and close that."""
        before = self.state()
        since = len(self.home.log())
        self.ardour.act(action)
        text = self.ardour.wait_for_log("Warning:", since, timeout_s)
        self.ardour.close_dialog()
        wait_for("the dialog's end", lambda: not self.ardour.windows("^stemfix$"), 10)
        assert message in text
        assert self.state() == before
        assert not self.waiting()

    def waiting(self) -> bool:
        return (self.session.parent / "stemfix" / "pending.json").exists()

    def set(self, flag: str, text: str | None) -> None:
        """Steer the stand-in engine."""
        path = self.home.data / flag
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)

    def jobs(self) -> set[str]:
        spool = self.home.data / "spool"
        return {path.name for path in spool.iterdir()} if spool.exists() else set()

    def result(self, job: str) -> dict[str, object]:
        path = self.home.data / "spool" / job / "result.json"
        wait_for("the job's result", path.exists, 30)
        found: dict[str, object] = json.loads(path.read_text())
        return found


@pytest.fixture(scope="module")
def bench(
    home: Home, start: Callable[[Path], Ardour], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    made = Bench(home, start, tmp_path_factory.mktemp("sources"))
    yield made
    made.ardour.kill()


@pytest.fixture(autouse=True)
def steady(bench: Bench) -> Iterator[None]:
    """Nothing that a test steered stays so."""
    yield
    for flag in ("slow", "full-disk", "no-engine"):
        bench.set(flag, None)
    bench.home.use_engine(bench.home.folder / "python")


@pytest.fixture
def ardour(bench: Bench) -> Ardour:
    """For the screenshot of a failure."""
    return bench.ardour


def stems_of(name: str) -> dict[str, str]:
    return {f"{name} {stem}": f"{name} {stem}@4321" for stem in STEMS}


def test_from_the_menu_with_mouse_and_keys(bench: Bench, ardour: Ardour) -> None:
    bench.region("by-menu")
    since = len(bench.home.log())
    ardour.click(134, 12)  # Edit
    # From below: Preferences, Lua Scripts; in it the manager, the console, and then ours.
    for key in ("Up", "Up", "Right", "Down", "Down", "Return"):
        time.sleep(0.2)
        ardour.mouse("key", key)
    ardour.wait_for_log("Outcome: done", since)
    assert bench.state()["by-menu"] == "by-menu@4321 muted"
    assert stems_of("by-menu").items() <= bench.state().items()


def test_one_undo_takes_it_back_and_redo_brings_it_again(bench: Bench, ardour: Ardour) -> None:
    bench.region("undone")
    before = bench.state()
    assert "the new tracks stay, empty" in bench.run("stemfix_enhance", "Outcome: done")
    after = bench.state()
    assert after == {**before, "undone": "undone@4321 muted", **stems_of("undone")}
    ardour.access("Editor/undo")
    wait_for("the undo", lambda: bench.state() == {**before, **dict.fromkeys(stems_of("undone"), "")}, 10)
    ardour.access("Editor/redo")
    wait_for("the redo", lambda: bench.state() == after, 10)
    # The user's own last step, the fixture's import, is next.
    ardour.access("Editor/undo")
    ardour.access("Editor/undo")
    wait_for("the second undo", lambda: bench.state()["undone"] == "", 10)


def test_the_comparison_page_is_made_and_opened(bench: Bench) -> None:
    bench.region("compared")
    bench.run("stemfix_enhance", "Outcome: done")
    last = json.loads((bench.session.parent / "stemfix" / "last.json").read_text())
    folder = Path(last["jobs"][0]["result"]["folder"])
    opened = bench.home.folder / "opened"
    for _ in range(2):  # the second time it is there
        bench.run("stemfix_open_comparison", "Opening", 120)
        wait_for("the browser", lambda: opened.exists() and opened.read_text().endswith("\n"), 20)
        assert opened.read_text().splitlines() == [str(folder / "comparison.html")]
        assert "<html" in (folder / "comparison.html").read_text()[:1000]
        opened.unlink()
    (folder / "comparison.html").unlink()
    (folder / "manifest.json").rename(folder / "manifest.away")
    bench.refused("stemfix_open_comparison", "The comparison page could not be made. ", 120)
    (folder / "manifest.away").rename(folder / "manifest.json")


def test_cancel_in_the_window_changes_nothing(bench: Bench, ardour: Ardour) -> None:
    bench.region("cancelled", 6)
    before, jobs = bench.state(), bench.jobs()
    bench.set("slow", "1")
    since = len(bench.home.log())
    ardour.act("stemfix_enhance")
    wait_for("the job's start", lambda: any(bench.home.data.glob("spool/*/status.json")), 20)
    time.sleep(0.5)
    ardour.close_dialog()
    ardour.wait_for_log("Outcome: cancelled", since, 10)
    assert bench.state() == before
    assert not bench.waiting()
    (job,) = bench.jobs() - jobs
    assert bench.result(job)["state"] == "cancelled"


def test_an_engine_that_is_killed_is_started_again_and_goes_on(bench: Bench, ardour: Ardour) -> None:
    bench.region("survivor", 4)
    jobs = bench.jobs()
    bench.set("slow", "0.7")
    since = len(bench.home.log())
    ardour.act("stemfix_enhance")

    def separating() -> bool:
        paths = [bench.home.data / "spool" / job / "status.json" for job in bench.jobs() - jobs]
        return any(path.exists() and '"separate"' in path.read_text() for path in paths)

    wait_for("the separation", separating, 30)
    bench.home.kill_engine()
    text = ardour.wait_for_log("Outcome: done", since, 90)
    assert "The engine is gone" in text
    assert stems_of("survivor").items() <= bench.state().items()


def test_an_engine_that_does_not_start_is_told(bench: Bench) -> None:
    bench.region("no-engine")
    bench.home.stop_engine()
    bench.home.use_engine(Path("/no/such/python"))
    bench.refused(
        "stemfix_enhance",
        "The stemfix engine does not start. Nothing was changed. It said: /no/such/python is not there.",
    )
    bench.home.use_engine(bench.home.folder / "python")
    bench.set("no-engine", "")
    bench.refused("stemfix_enhance", "It said: The stand-in was told not to start.")


def test_a_full_disk_is_told_in_the_engines_words(bench: Bench) -> None:
    bench.region("full")
    bench.set("full-disk", "")
    bench.refused("stemfix_enhance", "has 0.0 GB free, and this job needs")


def test_a_damaged_stem_is_refused_before_anything_changes(bench: Bench) -> None:
    bench.region("damaged")
    bench.run("stemfix_separate", "Outcome: done")
    last = json.loads((bench.session.parent / "stemfix" / "last.json").read_text())
    stem = Path(last["jobs"][0]["result"]["files"][2]["path"])
    whole = stem.read_bytes()
    try:
        with open(stem, "r+b") as file:
            file.truncate(len(whole) // 2)
        bench.refused("stemfix_import_last", "it is damaged:")
        with open(stem, "r+b") as file:
            file.write(b"junk" * 20)
        bench.refused("stemfix_import_last", "its header can't be read")
        stem.rename(stem.with_suffix(".away"))
        bench.refused("stemfix_import_last", "it is not there")
        stem.with_suffix(".away").rename(stem)
    finally:
        with open(stem, "r+b") as file:
            file.write(whole)
    # Whole again: in once more, beside the first ones.
    bench.run("stemfix_import_last", "Brought in")
    names = [name for name in bench.state() if name.startswith("damaged ")]
    assert len(names) == 2 * len(STEMS)
    assert len({name for name in names if bench.state()[name]}) == 2 * len(STEMS)


def test_refusals_before_a_job_is_made(bench: Bench, ardour: Ardour) -> None:
    jobs = bench.jobs()
    id = bench.region("refused")
    ardour.lua("Editor:get_selection ():clear ()")
    bench.refused("stemfix_enhance", "Select an audio region first.")
    ardour.lua(
        """Session:maybe_enable_record (false)
        local t = Session:route_by_name ("refused"):to_track ()
        t:rec_enable_control ():set_value (1, PBD.GroupControlDisposition.NoGroup)
        Session:request_roll (ARDOUR.TransportRequestSource.TRS_UI)"""
    )
    wait_for("the recording", lambda: ardour.lua("say (Session:actively_recording ())") == ["true"], 10)
    ardour.select(id)
    bench.refused("stemfix_enhance", "Ardour is recording. Stop first.")
    bench.refused("stemfix_import_last", "Ardour is recording. Stop, then use 'stemfix: Import last result'.")
    ardour.lua("Session:request_stop (false, false, ARDOUR.TransportRequestSource.TRS_UI)")
    wait_for("the stop", lambda: ardour.lua("say (Session:actively_recording ())") == ["false"], 10)
    ardour.lua(
        """Session:disable_record (false, true)
        Session:route_by_name ("refused"):to_track ():rec_enable_control ()
          :set_value (0, PBD.GroupControlDisposition.NoGroup)"""
    )
    assert bench.jobs() == jobs


def test_names_with_anything_in_them(bench: Bench, ardour: Ardour) -> None:
    id = bench.region("odd-name")
    name = 'Ünï/"quo\'te" $(rm) \\ %d ...'
    ardour.lua(
        f"""for _, r in pairs (ARDOUR.RegionFactory.regions ():table ()) do
          if r:to_stateful ():id ():to_s () == "{id}" then r:set_name ([[{name}]]) end end"""
    )
    bench.run("stemfix_enhance", "Outcome: done")
    assert bench.state()["odd-name vocals"] == f"{name} vocals@4321"


def test_with_a_preset_in_the_background_while_work_goes_on(bench: Bench, ardour: Ardour) -> None:
    bench.region("background", 4)
    bench.set("slow", "0.5")
    bench.home.use_engine(bench.home.folder / "python", background="true", presets='{ "none", "fast" }')
    since = len(bench.home.log())
    ardour.act("stemfix_enhance_with_preset")
    ardour.close_dialog("^stemfix: Enhance selected region$")  # OK
    ardour.wait_for_log("Outcome: background", since, 20)
    assert bench.waiting()
    # Ardour is free: the region moves, and the stems follow it.
    ardour.lua(
        """Session:route_by_name ("background"):to_track ():playlist ():region_list ():table ()[1]
          :set_position (Temporal.timepos_t (99999))"""
    )
    ardour.wait_for_log("Brought in", since, 60)
    assert bench.state()["background"] == "background@99999 muted"
    assert bench.state()["background vocals"] == "background vocals@99999"


def test_a_failure_in_the_background_is_told_once(bench: Bench, ardour: Ardour) -> None:
    bench.region("failing")
    before = bench.state()
    bench.set("full-disk", "")
    bench.home.use_engine(bench.home.folder / "python", background="true")
    since = len(bench.home.log())
    ardour.act("stemfix_enhance")
    text = ardour.wait_for_log("Warning:", since)
    assert "Region 'failing' was not enhanced: " in text
    ardour.close_dialog()
    time.sleep(1.5)
    assert bench.home.log()[since:].count("Warning:") == 1
    assert bench.state() == before
    assert not bench.waiting()


def test_a_session_of_somebody_else_can_do_no_harm(bench: Bench, tmp_path: Path) -> None:
    bench.region("foreign")
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = bench.session.parent / "stemfix"
    folder.mkdir(exist_ok=True)
    what = {"name": "x", "id": "1", "track": "x", "position": 0, "length": 5, "start": 0, "rate": RATE}
    (folder / "pending.json").write_text(
        json.dumps(
            {"batches": [{"id": "x", "jobs": [{"id": "../../x", "source": str(precious), "what": what}]}, 7]}
        )
    )
    bench.run("stemfix_separate", "Outcome: done")
    batch = {"id": "y", "jobs": [{"id": "gone-1", "source": str(precious), "what": what, "result": {}}]}
    (folder / "last.json").write_text(json.dumps(batch))
    bench.refused("stemfix_import_last", "The job delivered no stems. Nothing was changed.")
    assert precious.read_text() == "mine"


def test_a_job_outlives_its_session(bench: Bench) -> None:
    bench.region("reopened", 4)
    bench.set("slow", "1")
    bench.home.use_engine(bench.home.folder / "python", background="true")
    bench.run("stemfix_enhance", "Outcome: background")
    bench.ardour.quit()
    assert bench.waiting()
    bench.set("slow", None)
    since = len(bench.home.log())
    bench.ardour = bench.start(bench.session)
    bench.ardour.wait_for_log("Brought in", since, 60)
    assert stems_of("reopened").items() <= bench.state().items()


def test_a_job_outlives_an_ardour_that_is_killed(bench: Bench) -> None:
    bench.region("crashed", 3)
    bench.ardour.save()
    bench.set("slow", "1")
    jobs = bench.jobs()
    bench.ardour.act("stemfix_enhance")
    wait_for("the job", lambda: len(bench.jobs()) > len(jobs), 20)
    time.sleep(0.5)
    bench.ardour.kill()
    bench.set("slow", None)
    # As if half a minute had passed: the window that watched over the job is gone.
    pending = bench.session.parent / "stemfix" / "pending.json"
    batches = json.loads(pending.read_text())
    for batch in batches["batches"]:
        batch["lease"] -= 60
    pending.write_text(json.dumps(batches))
    since = len(bench.home.log())
    bench.ardour = bench.start(bench.session)
    bench.ardour.wait_for_log("Brought in", since, 60)
    assert stems_of("crashed").items() <= bench.state().items()


def test_stems_move_with_their_session(bench: Bench) -> None:
    bench.region("moving")
    bench.run("stemfix_enhance", "Outcome: done")
    state = bench.state()
    bench.ardour.quit()
    assert read_session(bench.session).foreign_sources == []
    moved = bench.session.parent.with_name("renamed")
    bench.session.parent.rename(moved)
    # What the engine delivered may go too: the session has its own.
    shutil.rmtree(moved / "stemfix")
    bench.session = moved / bench.session.name
    bench.ardour = bench.start(bench.session)
    assert bench.state() == state
    paths = bench.ardour.lua(
        """for _, r in pairs (ARDOUR.RegionFactory.regions ():table ()) do
          if r:name ():find ("^moving ") then say (r:source (0):to_filesource ():path ()) end end"""
    )
    assert paths
    assert all(Path(path).is_relative_to(moved) and Path(path).exists() for path in paths)

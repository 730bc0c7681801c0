"""Mutation check: break the scripts in many ways, one at a time, and see whether the tests notice.

    make mutate

Works on copies, two at a time. Each change names the test that should notice it; where that passes, all run.
Ends with status 1 where more than one of the changes goes unnoticed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: (file, what stands there, what it becomes, the test that should notice: `file::name` without `test_`)
MUTATIONS = [
    (
        "source",
        "{ start = plays.start - first / rate }",
        "{ start = plays.start }",
        "null::the_stems_sum_to_the_item[lua54-offset]",
    ),
    (
        "source",
        "section.reversed and tail or head",
        "head",
        "null::the_stems_sum_to_the_item[lua54-reversed with a little of it]",
    ),
    (
        "source",
        "(low + head - first) / rate",
        "(low - first) / rate",
        "null::the_stems_sum_to_the_item[lua54-short section of a long file]",
    ),
    (
        "source",
        "(section.offset + section.length - time) * plays.rate",
        "(section.offset + time) * plays.rate",
        "null::the_stems_sum_to_the_item[lua54-reversed with a little of it]",
    ),
    (
        "source",
        "from, to = 0, plays.source_length",
        "from, to = from, to",
        "null::the_stems_sum_to_the_item[lua54-loop]",
    ),
    (
        "source",
        "local HANDLE_S = 1",
        "local HANDLE_S = 0.1",
        "behaviour::stems_have_a_second_more_on_both_sides",
    ),
    (
        "source",
        "if not a or first > 0 and",
        "if not a or false and",
        "behaviour::an_edit_that_cannot_be_followed_is_told_with_the_stems_place[_extend-edited beyond]",
    ),
    (
        "source",
        "if inside and (edge < fade_in - slack",
        "if inside and (false",
        "behaviour::a_time_selection_that_would_cut_a_fade_is_refused",
    ),
    (
        "source",
        "found.exact and found.markers == 0",
        "found.exact",
        "reading::the_stems_sum_to_the_item[lua54-stretch markers]",
    ),
    ("place", '"D_PLAYRATE", ', "", "null::the_stems_sum_to_the_item[lua54-playrate]"),
    ("place", '"B_LOOPSRC",', "", "null::the_stems_sum_to_the_item[lua54-offset]"),
    ("place", '"D_FADEOUTDIR", ', "", "null::the_stems_sum_to_the_item[lua54-offset]"),
    ("place", '"I_CHANMODE", ', "", "null::the_stems_sum_to_the_item[lua54-channel mode]"),
    ("place", "-1 + math.min (depth, 0)", "-1", "behaviour::folders_around_the_track_stay_as_they_are"),
    (
        "place",
        'if depth < 0 then set_track (original, "I_FOLDERDEPTH", 0) end',
        "",
        "behaviour::folders_around_the_track_stay_as_they_are",
    ),
    (
        "place",
        "if depth < 1 and settings",
        "if settings",
        "behaviour::folders_around_the_track_stay_as_they_are",
    ),
    (
        "place",
        "r.InsertTrackAtIndex (index, false)",
        "r.InsertTrackAtIndex (index, true)",
        "null::the_stems_sum_to_the_item[lua54-offset]",
    ),
    (
        "place",
        "r.InsertTrackAtIndex (index, false)",
        "r.InsertTrackAtIndex (index)",
        "behaviour::stems_have_a_second_more_on_both_sides",
    ),
    (
        "place",
        "r.AddTakeToMediaItem (new_item)",
        "r.AddTake (new_item)",
        "behaviour::stems_have_a_second_more_on_both_sides",
    ),
    (
        "place",
        'r.SetMediaItemInfo_Value (item, "B_MUTE", 1)',
        "",
        "null::the_stems_sum_to_the_item[lua54-offset]",
    ),
    ("place", "insist (r.PreventUIRefresh, -1)", "", "behaviour::stems_have_a_second_more_on_both_sides"),
    (
        "place",
        "and lib.try (r.Undo_CanUndo2, project) == label then",
        "and false then",
        "failures::whichever_call_fails",
    ),
    ("place", 'done and title or title .. " " .. r.genGuid ("")', "title", "failures::whichever_call_fails"),
    (
        "place",
        "if before ~= project then r.SelectProjectInstance (project) end",
        "",
        "behaviour::another_tab_stays_in_front_and_as_it_is",
    ),
    (
        "place",
        "then\n      insist (r.SelectProjectInstance, before)",
        "then",
        "behaviour::another_tab_stays_in_front_and_as_it_is",
    ),
    (
        "place",
        "stem_files.free (opened, taken)",
        "",
        "behaviour::a_job_that_goes_wrong_changes_nothing[short-samples]",
    ),
    (
        "place",
        "if last < plays.length - edge then",
        "if false then",
        "behaviour::only_what_the_time_selection_holds_is_replaced",
    ),
    (
        "place",
        "plays.file ~= job.what.file",
        "false",
        "behaviour::an_edit_that_cannot_be_followed_is_told_with_the_stems_place",
    ),
    (
        "place",
        'r.SetMediaItemTakeInfo_Value (new_take, "D_PLAYRATE", 1)',
        "",
        "reading::the_stems_sum_to_the_item[lua54-playrate]",
    ),
    (
        "stems",
        "length ~= frames or",
        "false or",
        "behaviour::a_job_that_goes_wrong_changes_nothing[short-samples]",
    ),
    ("section", "section.reversed and 2 or 0", "0", "null::the_stems_sum_to_the_item[lua54-reversed]"),
    ("engine", "-2 or -1", "0 or 0", "behaviour::an_engine_is_started_where_there_is_none"),
    (
        "engine",
        "if starts > RESTARTS then",
        "if starts > 0 then",
        "behaviour::an_engine_that_dies_is_started_again_a_few_times",
    ),
    (
        "jobs",
        "start_frame = what.first",
        "start_frame = what.first + 1",
        "behaviour::stems_have_a_second_more_on_both_sides",
    ),
    (
        "follow",
        "if jobs.is_pending (batch) then finish (batch, brought) end",
        "finish (batch, brought)",
        "behaviour::cancel_comes_before_the_stems_or_after_them",
    ),
    (
        "follow",
        "if projects.is_recording (project) then",
        "if false then",
        "behaviour::nothing_comes_in_while_reaper_records",
    ),
    (
        "follow",
        "until replaced (me)",
        "until false",
        "behaviour::a_second_start_takes_over_what_the_first_waited_for",
    ),
    (
        "follow",
        "jobs.close (batch)\n    local project, takes",
        "local project, takes",
        "behaviour::the_last_result_can_be_imported_again",
    ),
    ("lib", "> TICK_S then", "> 1 then", "behaviour::no_tick_outside_the_import_is_longer_than_5_ms"),
    (
        "window",
        "return key == ESCAPE or clicked",
        "return key == ESCAPE",
        "behaviour::cancel_stops_the_engine_and_changes_nothing",
    ),
    (
        "page",
        "window.close ()\n      os.remove (log)",
        "os.remove (log)",
        "behaviour::the_comparison_page_is_made_and_opened",
    ),
    (
        "page",
        'if code == "0" then',
        "if code then",
        "behaviour::a_comparison_page_that_can_t_be_made_is_told",
    ),
    ("reading", "now.buffer.clear ()", "", "reading::the_stems_sum_to_the_item[lua54-another rate]"),
    ("reading", "now.offset + at", "at", "reading::the_stems_sum_to_the_item[lua54-ogg]"),
    (
        "reading",
        "origin = first + (shift - (lead and 1 or 0)) / plays.rate",
        "origin = first",
        "reading::the_file_s_own_frames_are_read_not_ones_between_them",
    ),
    (
        "reading",
        "start = edge - plan.origin",
        "start = edge",
        "reading::a_part_of_an_item_is_read_with_handles",
    ),
    (
        "reading",
        "r.time_precise () - lib.tick_began > TICK_S",
        "false",
        "reading::no_tick_of_reading_is_longer_than_5_ms",
    ),
    (
        "reading",
        "[0] = true, [2]",
        "[0] = true, [1] = true, [2]",
        "reading::a_channel_mode_that_might_be_applied_twice_is_refused",
    ),
    (
        "reading",
        "insist (r.DestroyAudioAccessor, was.accessor)",
        "local _ = was",
        "reading::what_is_read_is_a_float_file_of_a_known_length",
    ),
    ("reading", "os.remove (was.partial)", "", "reading::cancel_leaves_nothing"),
    ("reading", "if is_wanted (now.batch) then finish ()", "if true then finish ()", "reading"),
    (
        "reading",
        "return signature (item, take) == plan.signature",
        "return true",
        "reading::an_edit_of_its_sound_while_it_is_read_is_told",
    ),
    (
        "reading",
        "if not is_there () then return M.drop () end",
        "",
        "reading::deleting_the_item_leaves_nothing",
    ),
    ("follow", "reading.forget (batch)", "", "reading::a_job_that_fails_takes_what_was_read_away"),
]
ALLOWED_SURVIVORS = 1
#: Where the named test does not notice. The random ones take their time to find the simplest failure.
TESTS = ("failures", "behaviour", "null", "reading", "conformance")
WORKERS = 2


def _pytest(copy: Path, tests: Sequence[str]) -> tuple[bool, str]:
    """Whether the tests pass in the copy, and the first that failed."""
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not weights", "--rootdir", str(copy)]
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *options, *tests]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return done.returncode == 0, failed[0].partition("::")[2][:70] if failed else ""


def _node(copy: Path, test: str) -> str:
    file, _, name = test.partition("::")
    path = str(copy / "tests" / "reaper" / f"test_{file}.py")
    return f"{path}::test_{name}" if name else path


def survives(module: str, old: str, new: str, test: str) -> bool:
    """Whether the tests pass on scripts changed so."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("reaper_scripts", "ardour_scripts", "docs", "tests/reaper"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / "reaper_scripts" / "stemfix" / f"{module}.lua"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        passed, failed = _pytest(copy, [_node(copy, test)])
        if passed:
            passed, failed = _pytest(copy, [_node(copy, one) for one in TESTS])
    outcome = "survived" if passed else "caught  "
    print(
        f"{outcome} {time.monotonic() - began:3.0f} s {module}: {old[:50]!r} -> {new[:30]!r} | {failed}",
        flush=True,
    )
    return passed


def main() -> int:
    for module, old, _, _ in MUTATIONS:
        if old not in (ROOT / "reaper_scripts" / "stemfix" / f"{module}.lua").read_text(encoding="utf-8"):
            raise SystemExit(f"{module}.lua no longer holds: {old}")
    passed, failed = _pytest(ROOT, sorted({_node(ROOT, test) for *_, test in MUTATIONS if "::" in test}))
    if not passed:
        raise SystemExit(f"A test fails on the scripts as they are: {failed}")
    with ThreadPoolExecutor(WORKERS) as pool:
        survivors = sum(pool.map(lambda mutation: survives(*mutation), MUTATIONS))
    print(f"{len(MUTATIONS) - survivors} of {len(MUTATIONS)} changes were noticed.")
    return int(survivors > ALLOWED_SURVIVORS)


if __name__ == "__main__":
    sys.exit(main())

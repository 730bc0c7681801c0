"""Mutation check: break the scripts in many ways, one at a time, and see whether the tests notice.

    python tests/reaper/mutate.py

Works on a copy. Ends with status 1 where more than one of the changes goes unnoticed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: (file, what stands there, what it becomes)
MUTATIONS = [
    ("source", "{ start = plays.start - first / rate }", "{ start = plays.start }"),
    ("source", "section.reversed and tail or head", "head"),
    ("source", "(low + head - first) / rate", "(low - first) / rate"),
    (
        "source",
        "(section.offset + section.length - time) * plays.rate",
        "(section.offset + time) * plays.rate",
    ),
    ("source", "from, to = 0, plays.source_length", "from, to = from, to"),
    ("source", "local HANDLE_S = 1", "local HANDLE_S = 0.1"),
    ("source", "if not a or first > 0 and", "if not a or false and"),
    ("source", "if inside and (edge < fade_in - slack", "if inside and (false"),
    ("place", '"D_PLAYRATE", ', ""),
    ("place", '"B_LOOPSRC",', ""),
    ("place", '"D_FADEOUTDIR", ', ""),
    ("place", '"I_CHANMODE", ', ""),
    ("place", "-1 + math.min (depth, 0)", "-1"),
    ("place", 'if depth < 0 then set_track (original, "I_FOLDERDEPTH", 0) end', ""),
    ("place", "if depth < 1 and settings", "if settings"),
    ("place", "r.InsertTrackAtIndex (index, false)", "r.InsertTrackAtIndex (index, true)"),
    ("place", "r.InsertTrackAtIndex (index, false)", "r.InsertTrackAtIndex (index)"),
    ("place", "r.AddTakeToMediaItem (new_item)", "r.AddTake (new_item)"),
    ("place", 'r.SetMediaItemInfo_Value (item, "B_MUTE", 1)', ""),
    ("place", "insist (r.PreventUIRefresh, -1)", ""),
    ("place", "and lib.try (r.Undo_CanUndo2, project) == label then", "and false then"),
    ("place", 'done and title or title .. " " .. r.genGuid ("")', "title"),
    ("place", "if before ~= project then r.SelectProjectInstance (project) end", ""),
    ("place", "then\n      insist (r.SelectProjectInstance, before)", "then"),
    ("place", "stem_files.free (opened, taken)", ""),
    ("place", "if last < plays.length - edge then", "if false then"),
    ("place", "plays.file ~= job.what.file", "false"),
    ("stems", "length ~= frames or", "false or"),
    ("section", "section.reversed and 2 or 0", "0"),
    ("engine", "-2 or -1", "0 or 0"),
    ("engine", "if starts > RESTARTS then", "if starts > 0 then"),
    ("jobs", "start_frame = what.first", "start_frame = what.first + 1"),
    ("follow", "if jobs.is_pending (batch) then finish (batch, brought) end", "finish (batch, brought)"),
    ("follow", "if projects.is_recording (project) then", "if false then"),
    ("follow", "until replaced (me)", "until false"),
    ("follow", "jobs.close (batch)\n    local project, takes", "local project, takes"),
    ("lib", "> TICK_S then", "> 1 then"),
    ("window", "return key == ESCAPE or clicked", "return key == ESCAPE"),
]
ALLOWED_SURVIVORS = 1
#: Quick ones first; the random ones take their time to find the simplest failure.
TESTS = ("failures", "behaviour", "null", "conformance")


def survives(module: str, old: str, new: str) -> bool:
    """Whether the tests pass on scripts changed so."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("reaper_scripts", "ardour_scripts", "docs", "tests/reaper"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / "reaper_scripts" / "stemfix" / f"{module}.lua"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        tests = [str(copy / "tests" / "reaper" / f"test_{name}.py") for name in TESTS]
        options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not weights", "--rootdir", folder]
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
        print(
            "survived" if done.returncode == 0 else "caught  ",
            module,
            "|",
            old[:60],
            "->",
            new[:30],
            "|",
            failed[0][7:100] if failed else "",
            flush=True,
        )
        return done.returncode == 0


def main() -> int:
    from concurrent.futures import ThreadPoolExecutor

    for module, old, _ in MUTATIONS:
        if old not in (ROOT / "reaper_scripts" / "stemfix" / f"{module}.lua").read_text(encoding="utf-8"):
            raise SystemExit(f"{module}.lua no longer holds: {old}")

    with ThreadPoolExecutor(2) as pool:
        survivors = sum(pool.map(lambda mutation: survives(*mutation), MUTATIONS))
    print(f"{len(MUTATIONS) - survivors} of {len(MUTATIONS)} changes were noticed.")
    return int(survivors > ALLOWED_SURVIVORS)


if __name__ == "__main__":
    sys.exit(main())

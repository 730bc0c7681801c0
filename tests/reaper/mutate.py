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

from mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
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
    passed, failed = _pytest(ROOT, sorted({_node(ROOT, test) for *_, test in MUTATIONS}))
    if not passed:
        raise SystemExit(f"A test fails on the scripts as they are: {failed}")
    with ThreadPoolExecutor(WORKERS) as pool:
        survivors = sum(pool.map(lambda mutation: survives(*mutation), MUTATIONS))
    print(f"{len(MUTATIONS) - survivors} of {len(MUTATIONS)} changes were noticed.")
    return int(survivors > ALLOWED_SURVIVORS)


if __name__ == "__main__":
    sys.exit(main())

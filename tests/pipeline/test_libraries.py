"""Libraries whose modules import each other are imported by one thread at a time, whole, before their use."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import engine
from engine.libraries import SCIPY

#: Notes which thread looks for which module of scipy.
SPY = """
import sys, threading

class Spy:
    def __init__(self):
        self.threads, self.meet = set(), lambda name: None

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "scipy":
            self.threads.add(threading.current_thread().name)
            self.meet(name)

spy = Spy()
sys.meta_path.insert(0, spy)
"""

A_JOB = """
from pathlib import Path
from conftest import FakeSeparator
from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job

class Quarters(FakeSeparator):
    def separate(self, audio, seed, progress, cancel):
        for start, block in audio.blocks():
            yield start, block[None].repeat(4, 0) / 4

source = Path(sys.argv[1])
model = ModelHandle.of(Quarters())
spec = JobSpec(source=source, out_dir=source.parent, model="fake", preset="balanced", use_cache=False)
run_job(spec, models=lambda *_: model)
"""

TWO_THREADS = """
from engine.libraries import SCIPY, load

other = threading.Thread(target=load, args=("scipy.ndimage",), name="other")

def meet(name):
    if name == "scipy._lib._testutils":  # scipy itself is half there now
        spy.meet = lambda name: None
        other.start()
        other.join(0.5)

spy.meet = meet
load(*SCIPY)
other.join()
assert "scipy.ndimage" in sys.modules
"""


def threads_that_import_scipy(script: str, *arguments: str) -> str:
    """Run the script in a fresh process, where scipy is not yet imported."""
    print_them = "\nprint(*sorted(spy.threads))"
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", SPY + script + print_them, *arguments],
        env={**os.environ, "PYTHONPATH": str(tests), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_job_imports_them_before_its_threads_begin_and_not_if_it_was_done_before(
    make_song: Callable[..., Path],
) -> None:
    source = str(make_song(44_100))
    assert threads_that_import_scipy(A_JOB, source) == "MainThread"
    assert threads_that_import_scipy(A_JOB, source) == ""


def test_a_second_thread_waits_until_the_first_has_imported_all() -> None:
    assert threads_that_import_scipy(TWO_THREADS) == "MainThread"


def test_whatever_the_engine_imports_of_scipy_is_on_the_list() -> None:
    used = set()
    for path in Path(engine.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module] if node.module != "scipy" else [f"scipy.{a.name}" for a in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            used |= {name for name in names if name.partition(".")[0] == "scipy"}
    assert used == set(SCIPY)

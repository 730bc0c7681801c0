"""A client that finds no engine gets one, exactly one, or is told what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.service import autostart
from engine.service.autostart import NoEngineError, engine_command, engine_environment, ensure_engine
from engine.service.log import log_path
from engine.spool.client import engine_alive

CALLER = """
import sys
from engine.service import autostart
autostart.engine_command = lambda: [sys.executable, sys.argv[1]]
print(autostart.ensure_engine(timeout_s=60).pid)
"""
RUNNER = str(Path(__file__).with_name("fake_engine.py"))
HOST = {"LD_LIBRARY_PATH": "/opt/Ardour/lib", "PYTHONHOME": "/opt/x", "PYTHONPATH": "/y", "HOME": "/home/me"}


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that is started is the one with the stand-in model."""
    monkeypatch.setattr(autostart, "engine_command", lambda: [sys.executable, RUNNER])


@pytest.mark.slow
def test_twenty_callers_at_once_start_one_engine(studio: Any) -> None:
    callers = [
        subprocess.Popen([sys.executable, "-c", CALLER, RUNNER], stdout=subprocess.PIPE, text=True)
        for _ in range(20)
    ]
    pids = {caller.communicate(timeout=120)[0].strip() for caller in callers}
    assert [caller.returncode for caller in callers] == [0] * 20
    assert len(pids) == 1
    engines = [
        process.pid
        for process in psutil.process_iter()
        if RUNNER in _command(process) and _data_dir(process) == str(studio.data)
    ]
    assert engines == [int(pids.pop())]
    assert log_path().read_text().count(": Ready") == 1


def _command(process: psutil.Process) -> list[str]:
    try:
        return [] if process.status() == psutil.STATUS_ZOMBIE else process.cmdline()
    except psutil.Error:
        return []


def _data_dir(process: psutil.Process) -> str | None:
    return process.environ().get("STEMFIX_DATA_DIR")


@pytest.mark.slow
def test_an_engine_outlives_its_caller_and_is_found_by_the_next(studio: Any, runner: None) -> None:
    caller = subprocess.run(
        [sys.executable, "-c", CALLER, RUNNER], stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    beat = ensure_engine()
    assert beat.pid == int(caller.stdout)
    if os.name != "nt":
        assert os.getsid(beat.pid) == beat.pid, "it would end with the caller's terminal"


@pytest.mark.slow
def test_a_stale_heartbeat_does_not_keep_an_engine_from_starting(studio: Any, runner: None) -> None:
    first = studio.start()
    first.kill()
    first.wait()
    assert ensure_engine(60).pid != first.pid


def test_an_engine_that_can_not_start_is_reported_with_its_own_words(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "print('stemfix: The moon is in the way.'); raise SystemExit(2)"
    monkeypatch.setattr(autostart, "engine_command", lambda: [sys.executable, "-c", said])
    with pytest.raises(NoEngineError, match="The moon is in the way") as caught:
        ensure_engine(30)
    assert str(log_path()) in str(caught.value)
    assert "`stemfix engine`" in str(caught.value)


def test_an_engine_that_never_answers_is_not_waited_for_for_ever(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    start = autostart._start
    monkeypatch.setattr(autostart, "_start", lambda: made.append(start()) or made[-1])
    monkeypatch.setattr(
        autostart, "engine_command", lambda: [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    with pytest.raises(NoEngineError, match="no sign of life"):
        ensure_engine(0.5)
    made[0].kill()
    made[0].wait()


def test_a_python_that_is_missing_is_reported(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autostart, "engine_command", lambda: ["/nowhere/python"])
    with pytest.raises(NoEngineError, match="can't be started"):
        ensure_engine(1)
    assert engine_alive() is None


def test_paths_of_a_daw_are_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine_environment(HOST) == HOST, "a user's own paths stay"
    assert engine_environment({**HOST, "ARDOUR_BUNDLED": "true"}) == {
        "HOME": "/home/me",
        "ARDOUR_BUNDLED": "true",
    }
    monkeypatch.setattr(sys, "executable", "/opt/REAPER/reaper")
    assert engine_environment(HOST) == {"HOME": "/home/me"}


@pytest.mark.parametrize("executable", ["/opt/REAPER/reaper", "", None])
def test_an_embedded_python_finds_the_real_one(
    executable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    command = engine_command()
    assert Path(command[0]).parent.parent == Path(sys.prefix) or sys.platform == "win32"
    assert command[1:] == ["-m", "stemfix", "engine"]


def test_this_python_runs_the_engine() -> None:
    assert engine_command() == [sys.executable, "-m", "stemfix", "engine"]

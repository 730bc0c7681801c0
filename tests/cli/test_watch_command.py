"""`stemfix watch`: what it watches, with which settings, and a real process from a file to a job."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.queue.client import QueueClient
from engine.queue.records import Priority
from watchers.settings import WatchSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def private_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(tmp_path / "config"))
    (tmp_path / "config").mkdir()
    return tmp_path / "config" / "config.toml"


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be watched; nothing is, and no engine starts but the one that is said to be there."""
    import engine.service.autostart
    import watchers.daemon

    found: list[Any] = []
    monkeypatch.setattr(
        engine.service.autostart, "ensure_engine", lambda: found.append("engine") or SimpleNamespace(pid=4711)
    )
    monkeypatch.setattr(watchers.daemon, "run_watchers", lambda settings, **_: found.extend(settings))
    return found


def test_a_folder_with_nothing_said_is_watched_as_by_default(stemfix, tmp_path: Path, watched: list) -> None:
    outcome = stemfix("watch", tmp_path)
    assert outcome.status == 0
    assert watched[0] == "engine"
    assert "4711" in outcome.err
    (settings,) = watched[1:]
    assert settings == WatchSettings(folder=tmp_path)


def test_what_is_said_holds_and_relative_paths_lie_here(
    stemfix, tmp_path: Path, watched: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("mine.toml").write_text('quality = "draft"\n')
    said = [
        "--preset",
        "mine.toml",
        "--quality",
        "draft",
        "--out",
        "stems",
        "--recursive",
        "--move",
        "--poll",
    ]
    assert stemfix("watch", "in", *said, "--pattern", "*.wav", "--pattern", "*.flac").status == 0
    settings = watched[1]
    assert settings.folder == tmp_path / "in"
    assert settings.preset == str(tmp_path / "mine.toml")
    assert settings.quality == "draft"
    assert settings.out == tmp_path / "stems"
    assert settings.recursive
    assert settings.when_done == "move"
    assert settings.poll == "always"
    assert settings.patterns == ("*.wav", "*.flac")
    assert stemfix("watch", "in", "--no-poll").status == 0
    assert watched[3].poll == "never"


def test_without_a_folder_those_of_the_configuration_are_watched(
    stemfix, tmp_path: Path, watched: list, private_config: Path
) -> None:
    private_config.write_text(
        f"[[watch]]\nfolder = '{tmp_path}/one'\npreset = 'fast'\n"
        f"[[watch]]\nfolder = '{tmp_path}/two'\nout = 'out'\n"
    )
    assert stemfix("watch").status == 0
    one, two = watched[1:]
    assert (one.folder, one.preset) == (tmp_path / "one", "fast")
    assert two.out == tmp_path / "two" / "out"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Name one, or add [[watch]]"),
        (["--move"], "--move goes with a FOLDER"),
        (["nowhere"], "There is no folder nowhere"),
        ([".", "--quality", "best"], "audiophile"),
        ([".", "--preset", "fats"], "fast"),
        ([".", "--pattern", ""], "patterns"),
    ],
)
def test_what_cant_be_watched_is_said_before_an_engine_starts(
    stemfix, tmp_path: Path, watched: list, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = stemfix("watch", *arguments)
    assert outcome.status == 2
    assert words in outcome.err
    assert watched == []


def until(true: Callable[[], Any], patience_s: float = 60.0) -> Any:
    deadline = time.monotonic() + patience_s
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.skipif(os.name == "nt", reason="names of folders are written otherwise there")
def test_a_file_that_is_put_into_the_folder_becomes_one_job(
    make_song: Callable[..., Path], tmp_path: Path, private_config: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    private_config.write_text(
        f'[[watch]]\nfolder = "{folder}"\npreset = "fast"\nout = "{tmp_path}/out"\n'
        "interval_s = 0.1\nstable_looks = 2\n"
    )
    watch = subprocess.Popen(
        [sys.executable, "-m", "stemfix", "watch", "--supervised"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        song = Path(shutil.copy(make_song("song.wav"), folder))
        with QueueClient() as queue:
            (record,) = until(queue.jobs)
        assert record.spec.source == song
        assert record.spec.out_dir == tmp_path / "out"
        assert record.spec.preset == "fast"
        assert (record.priority, record.client) == (Priority.WATCHED, "watch")
        _, error = watch.communicate(timeout=60)  # closes its standard input
        assert (watch.returncode, "Traceback" in error) == (0, False)
        assert song.exists()
    finally:
        watch.kill()
        watch.wait()

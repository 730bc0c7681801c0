"""A watching process that is killed again and again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.queue.client import QueueClient

FILES = 60
SCRIPT = """
import sys, threading
from pathlib import Path
from engine.queue.client import QueueClient
from watchers.daemon import run_watchers
from watchers.settings import WatchSettings
settings = WatchSettings(folder=Path(sys.argv[1]), preset="none", interval_s=0.1, stable_looks=2)
with QueueClient() as client:
    run_watchers([settings], client=client, stop=threading.Event())
"""


@pytest.mark.slow
def test_kill_9_while_it_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audio: Callable[..., bytes]
) -> None:
    monkeypatch.setenv("STEMFIX_DATA_DIR", str(tmp_path / "data"))
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.wav").write_bytes(audio(number, seconds=0.05))

    with QueueClient() as client:

        def sources() -> Counter[str]:
            return Counter(record.spec.source.name for record in client.jobs(limit=1000))

        def watch_until(count: int) -> None:
            process = subprocess.Popen(
                [sys.executable, "-c", SCRIPT, str(folder)], cwd=Path(__file__).parents[2]
            )
            until = time.monotonic() + 60
            while sum(sources().values()) < count and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.5 if count == FILES else 0.0)
            process.kill()
            process.wait()

        for count in (3, 12, 31, 47):
            watch_until(count)
        watch_until(FILES)
        assert sources() == Counter(f"{number}.wav" for number in range(FILES))

"""The real engine around a quick model: what `python -m stemfix engine` is in these tests.

Files in the data folder steer it: `slow` (seconds that a job takes longer per second of music), `full-disk`.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.audio.buffer import Audio, AudioBuffer
from engine.models import ModelHandle
from engine.paths import data_dir
from engine.service.engine import run_engine

_CONFTEST = Path(__file__).parents[1] / "conftest.py"
_specification = importlib.util.spec_from_file_location("stemfix_test_fakes", _CONFTEST)
assert _specification
assert _specification.loader
_fakes = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(_fakes)


class Steered(_fakes.FakeSeparator):  # type: ignore[misc, name-defined]
    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        for start, block in super().separate(audio, seed, progress, cancel):
            slow = data_dir() / "slow"
            end = time.monotonic() + (float(slow.read_text()) if slow.exists() else 0.0)
            while time.monotonic() < end:
                cancel()
                time.sleep(0.02)
            yield start, block


def _steer_disk() -> None:
    real, usage = shutil.disk_usage, namedtuple("usage", "total used free")

    def disk_usage(path: Any) -> Any:
        return usage(10**6, 10**6, 0) if (data_dir() / "full-disk").exists() else real(path)

    shutil.disk_usage = disk_usage


if __name__ == "__main__":
    if (data_dir() / "no-engine").exists():
        sys.exit("The stand-in was told not to start.")
    _steer_disk()
    sys.exit(run_engine(models=lambda *_: ModelHandle.of(Steered())))

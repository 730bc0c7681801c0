"""An engine with a stand-in for a model: `python fake_engine.py [SECONDS_PER_SEGMENT]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import FakeSeparator

from engine.config import EngineConfig
from engine.errors import StemfixError
from engine.models import ModelHandle
from engine.service.engine import run_engine


class SlowSeparator(FakeSeparator):
    """Takes its time for every segment of one second."""

    segment_s = 0.0

    def separate(
        self, audio: Any, seed: int, progress: Callable[[int, int], None], cancel: Callable[[], None]
    ) -> Iterator[tuple[int, Any]]:
        for block in super().separate(audio, seed, progress, cancel):
            time.sleep(self.segment_s)
            yield block


def provide(name: str, options: Any, device: str) -> ModelHandle:
    made = SlowSeparator(options, name=name)
    return ModelHandle(name, made.sources, made.digest, lambda note: made)


if __name__ == "__main__":
    SlowSeparator.segment_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    try:
        sys.exit(run_engine(EngineConfig(device="cpu"), models=provide))
    except StemfixError as error:
        sys.exit(f"stemfix: {error}")

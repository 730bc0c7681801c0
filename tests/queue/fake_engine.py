"""An engine process with a stand-in model, for tests that kill engines: `python fake_engine.py RUNS`.

Every separation adds a line to the file RUNS: a hash of the first samples. `SLOW` in the environment holds it
up for so many seconds per second of audio; while there is a file RUNS.die, a separation of audio that begins
with full scale kills the process.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import FakeSeparator

from engine.audio.buffer import Audio, AudioBuffer
from engine.models import ModelHandle
from engine.queue.runner import QueueRunner
from engine.queue.settings import QueueSettings

RUNS = Path(sys.argv[1])


class Watched(FakeSeparator):
    """Tells of its runs, takes its time, and dies where it is told to."""

    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        first = audio.read(0, min(audio.frames, 100))
        with RUNS.open("a") as file:
            file.write(hashlib.sha256(first.tobytes()).hexdigest() + "\n")
        if first[0, 0] >= 1 and RUNS.with_name(RUNS.name + ".die").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        for start, block in super().separate(audio, seed, progress, cancel):
            yield start, block
            time.sleep(float(os.environ.get("SLOW", "0")) * block.shape[-1] / self.sample_rate)


def main() -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    model = ModelHandle.of(Watched())
    runner = QueueRunner(QueueSettings(cpu_workers=2), lambda *_: model)
    runner.start()
    print("ready", flush=True)
    stop.wait()
    runner.stop()
    print("stopped", flush=True)


main()

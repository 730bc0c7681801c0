"""What the service costs and gains: overhead per job, many short files, and a service with nothing to do.

    python benchmarks/service.py [--stand-in] [--files 20] [--seconds 5] [--idle 60]

- Overhead: the median time of the same short job through a warm engine (from `submit` until the client sees
  it done) less that of `run_job` in a process that holds the model too.
- Many files: from nothing running until the last of the files is done through the queue, the start of the
  engine included, against one `stemfix enhance` after the other, each a new process.
- Idle: processor time of `stemfix up` and all its parts, with a warm model, one watched folder and no job.

Everything happens in folders of its own, without the stem cache, with the installed htdemucs weights or, with
`--stand-in`, with a model that takes no time: then what is left is the service itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import soundfile

from engine.job import JobSpec

ROOT = Path(__file__).resolve().parents[1]
RATE = 44_100
#: The queue's library looks more often in the first minute after its start.
SETTLE_S = 60

#: The program with a model that gives every stem a quarter of the mix.
STAND_IN = """
import sys
import numpy as np
import engine.models
from engine.separation.separator import SeparationOptions

class Quarters:
    name, sources, digest = "quarters", ("drums", "bass", "other", "vocals"), "ab" * 32
    sample_rate, channels, options, device = 44100, 2, SeparationOptions(), "cpu"

    def separate(self, audio, seed, progress, cancel):
        total = -(-audio.frames // self.sample_rate)
        for index in range(total):
            cancel()
            start = index * self.sample_rate
            stop = min(start + self.sample_rate, audio.frames)
            yield start, np.stack([audio.read(start, stop) / 4] * 4)
            progress(index + 1, total)

handle = engine.models.ModelHandle.of(Quarters())
engine.models.open_model = lambda *_: handle
if __name__ == "__main__":
    # The parts that `stemfix up` starts have to be this program too.
    import stemfix.parts
    from stemfix.__main__ import main
    stemfix.parts._command = lambda name: (sys.executable, __file__, name, "--supervised")
    sys.exit(main())
"""


def make_song(path: Path, seconds: float, seed: int) -> Path:
    """Tones, hits and noise that differ with the seed."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    generator = np.random.default_rng(seed)
    tones = sum(0.1 * np.sin(2 * np.pi * hertz * time_s) for hertz in generator.uniform(50, 2000, 5))
    hits = 0.3 * generator.standard_normal(time_s.size) * np.exp(-((time_s % 0.5) / 0.03))
    audio = (tones + hits)[:, None] + 0.003 * generator.standard_normal((time_s.size, 2))
    soundfile.write(path, audio.astype(np.float32), RATE, subtype="FLOAT")
    return path


class Bench:
    """The folders of one run, and how the program is called in it."""

    def __init__(self, folder: Path, stand_in: bool, seconds: float) -> None:
        from engine.paths import model_dir

        self.folder, self.seconds = folder, seconds
        os.environ["STEMFIX_MODEL_DIR"] = str(model_dir())
        for name in ("DATA", "CACHE", "CONFIG"):
            os.environ[f"STEMFIX_{name}_DIR"] = str(folder / name.lower())
        os.environ["PYTHONPATH"] = str(ROOT)
        os.environ["STEMFIX_YES"] = "1"
        self.program = [sys.executable, "-m", "stemfix"]
        self.stand_in = folder / "stand_in.py"
        if stand_in:
            self.stand_in.write_text(STAND_IN)
            self.program = [sys.executable, str(self.stand_in)]
        self._number = 0

    def spec(self, source: Path) -> JobSpec:
        """A job whose results go to a folder of its own."""
        self._number += 1
        return JobSpec(source=source, out_dir=self.folder / "out" / str(self._number), use_cache=False)

    @contextmanager
    def running(self, *command: str) -> Iterator[psutil.Process]:
        """The program with this command in the background, until it has a ready engine."""
        from engine.spool.client import engine_alive

        process = subprocess.Popen([*self.program, *command], stdin=subprocess.DEVNULL)
        try:
            while (beat := engine_alive()) is None or beat.state != "ready":
                if process.poll() is not None:
                    sys.exit(f"stemfix {command[0]} did not start")
                time.sleep(0.02)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()

    def through_queue(self, sources: list[Path]) -> list[float]:
        """Seconds from now until each was seen done."""
        from engine.queue.client import QueueClient
        from engine.queue.records import JobState, Priority

        began = time.perf_counter()
        times = []
        with QueueClient() as queue:
            jobs = [
                queue.submit(self.spec(source), priority=Priority.BATCH, client="cli") for source in sources
            ]
            for job in jobs:
                record = queue.wait(job, 3600)
                if record.state is not JobState.DONE:
                    sys.exit(f"A job ended as {record.state.value}: {record.outcome}")
                times.append(time.perf_counter() - began)
        return times


def overhead(bench: Bench, repeats: int) -> list[tuple[str, str]]:
    song = make_song(bench.folder / "song.wav", bench.seconds, 0)
    bare = bare_pipeline(bench)
    bare(song)
    plain = [timed(lambda: bare(song)) for _ in range(repeats)]
    with bench.running("engine"):
        bench.through_queue([song])
        queued = [bench.through_queue([song])[0] for _ in range(repeats)]
    low, high = statistics.median(plain), statistics.median(queued)
    return [
        (f"bare pipeline, {bench.seconds:g} s of audio, model in memory", f"{low:.2f} s"),
        ("the same job through the queue, engine warm", f"{high:.2f} s"),
        ("overhead per job", f"**{high - low:.2f} s**"),
    ]


def bare_pipeline(bench: Bench) -> Callable[[Path], object]:
    """`run_job` in this process, with the model kept in memory."""
    import engine.models
    from engine.models import WarmModels
    from engine.pipeline import run_job

    if bench.stand_in.exists():
        exec(compile(STAND_IN, "stand_in", "exec"), {"__name__": "stand_in"})
    models = WarmModels(engine.models.open_model)
    return lambda song: run_job(bench.spec(song), models=models)


def many(bench: Bench, count: int) -> list[tuple[str, str]]:
    songs = [make_song(bench.folder / f"song-{n}.wav", bench.seconds, n) for n in range(1, count + 1)]
    began = time.perf_counter()
    with bench.running("engine"):
        bench.through_queue(songs)
        queued = time.perf_counter() - began

    def one_by_one() -> None:
        for number, song in enumerate(songs):
            out = bench.folder / "single" / str(number)
            subprocess.run(
                [*bench.program, "enhance", str(song), "--out", str(out), "--no-cache", "--quiet"],
                check=True,
                stdin=subprocess.DEVNULL,
            )

    single = timed(one_by_one)
    audio = count * bench.seconds
    return [
        (f"{count} files of {bench.seconds:g} s, `stemfix enhance` for each", f"{single:.1f} s"),
        ("the same through the queue, start of the engine included", f"{queued:.1f} s"),
        ("audio per second, commands", f"{audio / single:.2f}x"),
        ("audio per second, queue", f"{audio / queued:.2f}x"),
        ("the queue is faster by", f"**{single / queued:.1f}x**"),
    ]


def idle(bench: Bench, seconds: float) -> list[tuple[str, str]]:
    from engine.config import config_path

    watched = bench.folder / "watched"
    watched.mkdir()
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(f"[[watch]]\nfolder = '{watched}'\n")
    song = make_song(bench.folder / "idle.wav", bench.seconds, 99)
    with bench.running("up") as up:
        bench.through_queue([song])
        time.sleep(SETTLE_S)
        parts = [up, *up.children(recursive=True)]
        before = {part.pid: cpu_s(part) for part in parts}
        time.sleep(seconds)
        used = {part: cpu_s(part) - before[part.pid] for part in parts}
        rows = [(f"idle: {name(part)}", f"{100 * spent / seconds:.2f} %") for part, spent in used.items()]
    total = f"**{100 * sum(used.values()) / seconds:.2f} %**"
    return [*rows, (f"`stemfix up` over {seconds:g} s, of one core", total)]


def name(part: psutil.Process) -> str:
    words = part.cmdline()
    return next((word for word in words if word in ("up", "engine", "watch")), words[-1])


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stand-in", action="store_true", help="a model that takes no time")
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each file")
    parser.add_argument("--repeats", type=int, default=7, help="runs whose median is taken")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds to watch the idle service")
    parser.add_argument("--part", choices=("overhead", "many", "idle"), action="append", help="only this")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no service stays behind
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), args.stand_in, args.seconds)
        print("| what | result |\n|---|---|")
        parts: dict[str, Callable[[], list[tuple[str, str]]]] = {
            "overhead": lambda: overhead(bench, args.repeats),
            "many": lambda: many(bench, args.files),
            "idle": lambda: idle(bench, args.idle),
        }
        for part in args.part or parts:
            for what, result in parts[part]():
                print(f"| {what} | {result} |", flush=True)


if __name__ == "__main__":
    main()

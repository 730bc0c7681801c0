"""Whole jobs, a song in and enhanced stems and the mix out: what each preset costs beside its separation.

    .venv/bin/python benchmarks/end_to_end.py [SONG] [--seconds 120] [--presets none,balanced,...]
        [--stand-in] [--rate 44100] [--no-mix] [--rounds 1]

Each job runs in a process of its own, as after a cold start, on the song or on the example repeated to
`--seconds`. `--stand-in` takes the model's place by fixed shares of the mix, so that everything else is seen
by itself; `--no-mix` is what the DAWs ask for. Prints a Markdown table: wall seconds per stage with CPU
seconds in brackets, the whole over the separation, and peak memory. Of several rounds the one with the least
wall time counts. On a machine with other work the CPU seconds are what can be compared.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

PRESETS = ("none", "fast", "balanced", "maximum")
EXAMPLE = Path(__file__).parents[1] / "examples" / "demo.flac"


class FixedShares:
    """Gives every stem its share of the mix and leaves two hundredths over."""

    name, digest, device = "shares", "0" * 64, "none"
    sources = ("drums", "bass", "other", "vocals")
    shares = (0.4, 0.3, 0.2, 0.08)
    sample_rate, channels = 44_100, 2

    def __init__(self) -> None:
        from engine.separation.separator import SeparationOptions

        self.options = SeparationOptions()

    def separate(
        self, audio, seed: int, progress: Callable[[int, int], None], cancel: Callable[[], None]
    ) -> Iterator[tuple[int, np.ndarray]]:
        for start, block in audio.blocks(1 << 18):
            cancel()
            yield start, np.stack([block * np.float32(share) for share in self.shares])
            progress(start + block.shape[1], audio.frames)


def make_song(path: Path, seconds: float, rate: int) -> None:
    """The example again and again."""
    example, _ = soundfile.read(EXAMPLE, dtype="float32", always_2d=True)
    frames, left = int(seconds * rate), int(seconds * rate)
    with soundfile.SoundFile(path, "w", rate, example.shape[1], "PCM_24") as file:
        while left > 0:
            file.write(example[: min(left, len(example))])
            left -= len(example)
    assert soundfile.info(path).frames == frames


def run(song: Path, preset: str, stand_in: bool, mix: bool) -> None:
    """The child process: one job; prints its stages as JSON."""
    from engine.job import JobSpec
    from engine.models import ModelHandle
    from engine.pipeline import run_job
    from engine.processors.presets import load
    from engine.progress import Progress, Stage
    from engine.quality import quality

    class Watch(Progress):
        """Notes wall and CPU time when a stage is first heard of, and at its last word."""

        def __init__(self) -> None:
            super().__init__()
            self.cpu: dict[str, float] = {}
            self._stage, self._began = "read", time.process_time()

        def update(self, stage: Stage, done: int, total: int) -> None:
            if stage != self._stage:
                self.close()
                self._stage = stage

        def close(self) -> None:
            now = time.process_time()
            self.cpu[self._stage] = now - self._began
            self._began = now

    chosen = quality(load(preset).quality)
    watch, began, began_cpu = Watch(), time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(dir=song.parent) as out:
        model = "shares" if stand_in and chosen.model != "whole" else chosen.model
        spec = JobSpec(
            source=song,
            out_dir=Path(out),
            preset=preset,
            model=model,
            options=chosen.options,
            write_mix=mix,
            use_cache=False,
        )
        models = (lambda *_: ModelHandle.of(FixedShares())) if stand_in else None
        result = run_job(spec, watch, models)
    watch.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    print(
        json.dumps(
            {
                "seconds": result.report.seconds,
                "cpu": watch.cpu,
                "wall": time.perf_counter() - began,
                "all_cpu": time.process_time() - began_cpu,
                "peak_mb": peak,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("song", nargs="?", type=Path)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=int, default=44_100)
    parser.add_argument("--presets", default=",".join(PRESETS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--stand-in", action="store_true")
    parser.add_argument("--no-mix", dest="mix", action="store_false")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run(options.song, options.child, options.stand_in, options.mix)
        return
    with tempfile.TemporaryDirectory() as folder:
        song = options.song or Path(folder) / "song.wav"
        if options.song is None:
            make_song(song, options.seconds, options.rate)
        info = soundfile.info(song)
        print(f"{info.duration:.0f} s, {info.samplerate} Hz, {info.channels} channels\n")
        print("| preset | read | repair | separate | enhance | align | publish | all | all / separate | MB |")
        print("| --- |" + " ---: |" * 9, flush=True)
        flags = [*(["--stand-in"] if options.stand_in else []), *([] if options.mix else ["--no-mix"])]
        for preset in options.presets.split(","):
            command = [sys.executable, __file__, str(song), "--child", preset, *flags]
            rounds = [json.loads(subprocess.check_output(command)) for _ in range(options.rounds)]
            best = min(rounds, key=lambda found: found["wall"])
            seconds, cpu = best["seconds"], best["cpu"]
            cells = [
                f"{seconds.get(stage, 0.0):.1f} ({cpu.get(stage, 0.0):.1f})"
                for stage in ("read", "repair", "separate", "enhance", "align", "publish")
            ]
            separate = seconds.get("separate", 0.0)
            ratio = f"{best['wall'] / separate:.2f}" if separate else "-"
            if cpu.get("separate"):
                ratio += f" ({best['all_cpu'] / cpu['separate']:.2f})"
            cells += [f"{best['wall']:.1f} ({best['all_cpu']:.1f})", ratio, f"{best['peak_mb']:.0f}"]
            print(f"| {preset} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

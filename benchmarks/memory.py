"""Peak memory of whole jobs against the length of the recording, separation done by a stand-in for the model.

    .venv/bin/python benchmarks/memory.py [--hours 3]

Each job runs in a process of its own, at 8 kHz mono, so that three hours take minutes. The stand-in gives
half-second blocks with fixed shares of the mix: what is measured is everything around the model, which needs
the same memory for a song of any length. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

RATE = 8_000
PRESETS = ("none", "balanced", "maximum")


class FixedShares:
    """Gives every stem its share of the mix and leaves three hundredths over."""

    name, digest, device = "shares", "0" * 64, "cpu"
    sources = ("drums", "bass", "other", "vocals")
    shares = (0.3, 0.3, 0.2, 0.17)
    sample_rate, channels = RATE, 2

    def __init__(self) -> None:
        from engine.separation.separator import SeparationOptions

        self.options = SeparationOptions()

    def separate(
        self, audio, seed: int, progress: Callable[[int, int], None], cancel: Callable[[], None]
    ) -> Iterator[tuple[int, np.ndarray]]:
        for start, block in audio.blocks(RATE // 2):
            cancel()
            yield start, np.stack([block * np.float32(share) for share in self.shares])
            progress(start + block.shape[1], audio.frames)


def make_song(path: Path, seconds: int) -> None:
    """Notes, hits and noise, half a minute at a time."""
    time_s = np.arange(30 * RATE) / RATE
    notes = sum(0.1 * np.sin(2 * np.pi * hertz * time_s) for hertz in (55.0, 220.0, 277.2, 1100.0))
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16", format="WAV") as file:
        for part in range(seconds // 30):
            noise = np.random.default_rng(part).standard_normal(time_s.size)
            file.write(
                notes * (0.6 + 0.4 * np.sin(part)) + noise * (0.2 * np.exp(-(time_s % 0.5) / 0.03) + 0.002)
            )


def run(song: Path, preset: str) -> None:
    """The child process: one job; prints its seconds and its peak resident set in MB."""
    from engine.job import JobSpec
    from engine.models import ModelHandle
    from engine.pipeline import run_job

    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=song.parent) as out:
        spec = JobSpec(
            source=song, out_dir=Path(out), preset=preset, model="shares", use_cache=False, force=True
        )
        run_job(spec, models=lambda *_: ModelHandle.of(FixedShares()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    print(f"{time.perf_counter() - began:.1f} {peak:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=3.0, help="length of the longest recording")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run(Path(arguments.child[0]), arguments.child[1])
        return
    print("| recording | preset | peak memory (MB) | time (s) |\n| ---: | --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (3, 30, round(60 * arguments.hours)):
            song = Path(folder) / f"{minutes}.wav"
            make_song(song, 60 * minutes)
            for preset in PRESETS:
                command = [sys.executable, __file__, "--child", str(song), preset]
                found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds, peak = found.split()
                print(f"| {minutes} min | {preset} | {peak} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()

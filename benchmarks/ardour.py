"""From the action in Ardour to the tracks on screen, without the time for separation and effects.

    python benchmarks/ardour.py [--runs 3] [--seconds 12 300]

Runs the real Ardour on a virtual screen with the harness of tests/ardour, whose model is a quick stand-in, so
the engine is warm and the rest is real. `in Ardour` is the time before the job is handed over and after its
result is there; `in the engine` is what picking up, reading, proving and writing take.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ardour"))

from app import Ardour, Home, virtual_screen

RATE = 48_000
AIM_S = 2.0


def measure(ardour: Ardour, home: Home, wav: Path) -> dict[str, float]:
    """Seconds of one round trip over a new region with `wav`."""
    ardour.select(ardour.add_region(wav, 4_321))
    since, known = len(home.log()), set(home.data.glob("spool/*"))
    began = time.time()
    ardour.act("stemfix_enhance")
    ardour.wait_for_log("Outcome: done", since, 600)
    # The answer comes from Ardour's main loop, after it has drawn.
    ardour.lua("say (#Session:get_tracks ():table ())")
    total = time.time() - began
    (job,) = set(home.data.glob("spool/*")) - known
    handed_over = (job / "job.json").stat().st_mtime
    result_at = (job / "result.json").stat().st_mtime
    result = json.loads((job / "result.json").read_text())
    seconds = json.loads((Path(result["folder"]) / "report.json").read_text())["seconds"]
    work = seconds["separate"] + seconds["enhance"]
    return {
        "total": total,
        "in Ardour": total - (result_at - handed_over),
        "in the engine": result_at - handed_over - work,
        "without separation and effects": total - work,
    }


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, nargs="+", default=[12, 300])
    options = parser.parse_args()
    names = ("in Ardour", "in the engine", "without separation and effects")
    with tempfile.TemporaryDirectory() as folder, virtual_screen() as display:
        home = Home(Path(folder) / "home", Path(sys.executable))
        ardour = Ardour(home, home.new_session("benchmark", RATE), display)
        try:
            measure(ardour, home, write(Path(folder), 2, "warm"))
            print("| region | " + " | ".join(f"{name}, s" for name in names) + " |")
            print("|---|" + "---|" * len(names))
            for length in options.seconds:
                runs = [
                    measure(ardour, home, write(Path(folder), length, f"{length}-{run}"))
                    for run in range(options.runs)
                ]
                medians = (statistics.median(run[name] for run in runs) for name in names)
                print(f"| {length} s | " + " | ".join(f"{median:.2f}" for median in medians) + " |")
            print(f"\nMedian of {options.runs}. The aim is under {AIM_S:.0f} s.")
        finally:
            ardour.kill()
            home.stop_engine()


def write(folder: Path, seconds: int, name: str) -> Path:
    """Stereo noise."""
    path = folder / f"{name}.wav"
    generator = np.random.default_rng(len(name) + seconds)
    audio = generator.standard_normal((seconds * RATE, 2), np.float32) * np.float32(0.1)
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    return path


if __name__ == "__main__":
    main()

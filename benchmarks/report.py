"""How long the comparison page of a 4-minute song with three finished versions takes, and how large it is.

    python benchmarks/report.py [--minutes 4] [--stems]

The jobs are real ones of the demo song, repeated to the length, without a separation (it plays no part
here); with --stems the stems are four copies of each mix. CPU seconds count ffmpeg too; on a machine that is
busy with other things, half of them is what two idle cores would take.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from engine.job import JobSpec
from engine.pipeline import run_job
from engine.report.build import PageOptions, build_page
from engine.report.job_folder import JobFolder

DEMO = Path(__file__).parent.parent / "examples" / "demo.flac"
PRESETS = ("fast", "balanced", "maximum")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--stems", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = _song(folder / "song.wav", given.minutes)
        jobs = [_job(source, folder / preset, preset, given.stems) for preset in PRESETS]
        began, used = time.perf_counter(), _cpu_s()
        page = build_page(jobs, folder, PageOptions(stems=given.stems))
        wall, cpu = time.perf_counter() - began, _cpu_s() - used
        print(f"{given.minutes:g} min, original and {len(jobs)} versions, stems: {given.stems}")
        print(f"wall {wall:.1f} s, CPU {cpu:.1f} s ({cpu / 2:.1f} s on two cores), {page.bytes / 1e6:.1f} MB")


def _song(path: Path, minutes: float) -> Path:
    audio, rate = soundfile.read(DEMO, dtype="float32")
    count = round(minutes * 60 * rate)
    soundfile.write(path, np.resize(audio, (count, audio.shape[1])), rate, subtype="PCM_24")
    return path


def _job(source: Path, out_dir: Path, preset: str, stems: bool) -> JobFolder:
    spec = JobSpec(source=source, out_dir=out_dir, preset=preset, model="whole", force=True)
    folder = run_job(spec).folder
    if stems:
        manifest = json.loads((folder / "manifest.json").read_text())
        one = manifest["stems"][0]
        manifest["model"]["name"] = "htdemucs"
        manifest["stems"] = []
        for name in ("vocals", "drums", "bass", "other"):
            shutil.copy(folder / one["file"], folder / f"{name}.wav")
            manifest["stems"].append({**one, "name": name, "file": f"{name}.wav"})
        (folder / "manifest.json").write_text(json.dumps(manifest))
    return JobFolder.open(folder)


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


if __name__ == "__main__":
    main()

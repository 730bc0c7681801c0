"""A recording of hours needs hardly more memory than one of minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8_000
TESTS = str(Path(__file__).resolve().parents[1])
#: Prints the job's peak resident set in kB, and the frames of a stem.
JOB = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from conftest import FakeSeparator
from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job
source, out = map(Path, sys.argv[1:3])
result = run_job(
    JobSpec(source=source, out_dir=out, preset="none", model="fake", use_cache=False),
    models=lambda *_: ModelHandle.of(FakeSeparator(sample_rate=8000)),
)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak // 1024 if sys.platform == "darwin" else peak, result.manifest.stems[0].frames)
"""


@pytest.fixture
def peak_kb(tmp_path: Path):
    """`peak_kb(minutes)`: the peak memory of a job on a mono recording of that length at 8 kHz."""

    def measure(minutes: int) -> int:
        song = tmp_path / f"{minutes}.wav"
        generator = np.random.default_rng(0)
        time = np.arange(60 * RATE) / RATE
        minute = 0.1 * np.sin(2 * np.pi * 220 * time) + 0.05 * generator.standard_normal(time.size)
        with soundfile.SoundFile(song, "w", RATE, 1, "PCM_16", format="WAV") as file:
            for _ in range(minutes):
                file.write(minute * generator.uniform(0.3, 1.0))
        job = subprocess.run(
            [sys.executable, "-c", JOB, str(song), str(tmp_path / f"out-{minutes}"), TESTS],
            check=True,
            capture_output=True,
            text=True,
        )
        peak, frames = map(int, job.stdout.split())
        assert frames == minutes * 60 * RATE
        return peak

    return measure


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is told by POSIX systems alone")
def test_three_hours_need_hardly_more_memory_than_three_minutes(peak_kb) -> None:
    assert peak_kb(180) <= 1.2 * peak_kb(3) + 30_000

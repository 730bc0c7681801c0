"""kill -9 at any moment: no partial result is visible, and the next job sweeps what was left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.job import Manifest
from engine.pipeline import JobResult

JOB = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from conftest import FakeSeparator
from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job
run_job(
    JobSpec(source=Path(sys.argv[1]), out_dir=Path(sys.argv[2]), model="fake"),
    models=lambda *_: ModelHandle.of(FakeSeparator()),
)
"""
TESTS = str(Path(__file__).resolve().parents[1])


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a POSIX signal")
@pytest.mark.slow
def test_kill_at_random_moments(
    make_song: Callable[..., Path], run: Callable[..., JobResult], tmp_path: Path
) -> None:
    source, out = make_song(8 * 44_100), tmp_path / "out"
    out.mkdir()
    moments = random.Random(7)
    killed = 0
    for _ in range(10):
        job = subprocess.Popen([sys.executable, "-c", JOB, str(source), str(out), TESTS])
        time.sleep(moments.uniform(0.3, 2.5))
        job.send_signal(signal.SIGKILL)
        killed += job.wait() == -signal.SIGKILL
        visible = [path for path in out.iterdir() if not path.name.startswith(".")]
        for folder in visible:
            manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
            assert all((folder / stem.file).stat().st_size == stem.bytes for stem in manifest.stems)
    assert killed, "no run was interrupted: the test proved nothing"
    result = run(source)
    assert result.manifest.verdict in {"PASS", "WARN"}
    assert [path for path in out.iterdir() if path.name.startswith(".")] == []

"""self_test: one second of noise through the real pipeline, written, read again and summed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from engine.job import JobSpec
from engine.pipeline import run_job
from stemfix.check import Check

_RATE = 44_100
#: The engine's promise for the sum of the stems.
_NULL_DB = -120.0


def self_test(model: str) -> Check:
    """Separate, write, read and sum in a temporary folder. Raises what the engine raises."""
    generator = np.random.default_rng(0)
    noise = (0.1 * generator.standard_normal((_RATE, 2))).astype(np.float32)
    with tempfile.TemporaryDirectory(prefix="stemfix-doctor-") as name:
        folder = Path(name)
        source = folder / "noise.wav"
        soundfile.write(source, noise, _RATE, subtype="FLOAT")
        began = time.perf_counter()
        spec = JobSpec(
            source=source, out_dir=folder, preset="none", model=model, write_mix=False, use_cache=False
        )
        result = run_job(spec)
        elapsed = time.perf_counter() - began
        total = np.zeros(noise.shape)
        for stem in result.manifest.stems:
            audio, rate = soundfile.read(result.folder / stem.file, dtype="float32", always_2d=True)
            if (rate, audio.shape) != (_RATE, noise.shape):
                return _failed(f"{stem.name} came back with {len(audio)} frames at {rate} Hz")
            total += audio
    left_db = 10 * np.log10(max(float(np.mean((total - noise) ** 2)), 1e-20))
    if left_db > _NULL_DB:
        return _failed(f"the stems miss their sum by {left_db:.1f} dBFS")
    return Check(
        "self-test",
        "ok",
        f"1 s with {model} took {elapsed:.1f} s; the stems' sum nulls at {left_db:.0f} dBFS",
    )


def _failed(found: str) -> Check:
    return Check("self-test", "failed", found, "Run: stemfix models pull NAME --force, then this again.")

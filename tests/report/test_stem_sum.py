"""A job without a mix, as a DAW asks for, still has a page: what is heard is the sum of its stems."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job
from engine.report.build import PageOptions, build_page
from engine.report.job_folder import JobFolder
from engine.report.stem_sum import stem_sum

RATE = 44_100


def test_a_job_without_a_mix_is_heard_as_the_sum_of_its_stems(
    tmp_path: Path, fake_separator: Any, noise: Callable[..., Any]
) -> None:
    audio = noise(frames=RATE)
    soundfile.write(tmp_path / "take.wav", audio.T, RATE, subtype="FLOAT")
    spec = JobSpec(
        source=tmp_path / "take.wav", out_dir=tmp_path, model="fake", preset="none", write_mix=False
    )
    result = run_job(spec, models=lambda *_: ModelHandle.of(fake_separator))
    job = JobFolder.open(result.folder)
    (tmp_path / "work").mkdir()
    total, note = stem_sum(job, (100, RATE), tmp_path / "work")
    assert np.abs(total.to_array() - audio[:, 100:]).max() < 1e-6
    assert "without a mix" in note
    page = build_page([job], result.folder, PageOptions(stems=True))
    assert note in page.notes
    assert page.path == result.folder / "comparison.html"
    assert sorted(path.name for path in result.folder.iterdir() if path.suffix != ".wav") == [
        "comparison.html",
        "manifest.json",
        "report.json",
    ]

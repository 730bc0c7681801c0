"""The null is what the arithmetic says it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.alignment.null_depth import PROMISED_NULL_DB, null_depth_db
from engine.alignment.verdict import Verdict
from engine.audio.buffer import AudioBuffer
from engine.errors import AlignmentError

RATE = 44_100


def test_exact_parts_give_the_floor(noise: Any, buffer: Any) -> None:
    whole = np.round(noise(50_000) * 1024) / 4096
    parts = [buffer(whole / 2), buffer(whole / 4), buffer(whole / 4)]
    null = null_depth_db(parts, buffer(whole))
    assert (null.rms_db, null.peak_db, null.verdict) == (-200.0, -200.0, Verdict.PASS)


@pytest.mark.parametrize(
    ("error", "verdict"), [(1e-6, Verdict.PASS), (1e-4, Verdict.WARN), (1e-3, Verdict.FAIL)]
)
def test_a_constant_error_has_its_own_level(buffer: Any, error: float, verdict: Verdict) -> None:
    null = null_depth_db([buffer(np.zeros((2, 1000)))], buffer(np.full((2, 1000), error)))
    expected = 20 * np.log10(np.float32(error))
    assert null.rms_db == pytest.approx(expected, abs=1e-4)
    assert null.peak_db == pytest.approx(expected, abs=1e-4)
    assert null.verdict is verdict


def test_a_sine_has_3_db_between_rms_and_peak(buffer: Any) -> None:
    sine = 0.25 * np.sin(2 * np.pi * np.arange(RATE) / 100)[None]
    null = null_depth_db([], buffer(sine))
    assert null.peak_db == pytest.approx(-12.041, abs=0.001)
    assert null.rms_db == pytest.approx(-15.051, abs=0.001)


def test_float32_stems_keep_the_promise(noise: Any, buffer: Any) -> None:
    stems = [noise(600_000, seed=seed) for seed in range(4)]
    whole = np.sum(stems, axis=0, dtype=np.float64).astype(np.float32)
    assert null_depth_db([buffer(stem) for stem in stems], buffer(whole)).rms_db < PROMISED_NULL_DB


def test_silence_and_nothing_are_exact() -> None:
    for frames in (0, 10):
        empty = AudioBuffer.memory(2, frames, RATE)
        assert null_depth_db([empty, empty], empty).rms_db == -200.0


def test_what_is_not_a_number_fails(buffer: Any) -> None:
    broken = np.zeros((2, 100))
    broken[0, 5] = np.nan
    null = null_depth_db([buffer(broken)], buffer(np.zeros((2, 100))))
    assert null.verdict is Verdict.FAIL


def test_parts_of_another_shape_are_refused(noise: Any, buffer: Any) -> None:
    with pytest.raises(AlignmentError, match="can't be part"):
        null_depth_db([buffer(noise(100))], buffer(noise(101)))

"""Curves that lie in a file: the same values, and no memory that grows with the recording."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.processors.curve as curves
from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.curve import let_go, new_curve, pieces
from engine.processors.registry import effects

LONG = curves._IN_MEMORY + 4097


def test_a_long_curve_is_zeros_that_can_be_written_and_read_again() -> None:
    curve = new_curve(LONG)
    assert not curve.any()
    values = np.random.default_rng(0).random(LONG, np.float32)
    for start in range(0, LONG, 100_003):
        curve[start : start + 100_003] = values[start : start + 100_003]
        let_go(curve)
    let_go(curve[7:])
    np.testing.assert_array_equal(curve, values)


def test_pieces_cover_a_curve_once() -> None:
    values = np.arange(LONG, dtype=np.float32)
    np.testing.assert_array_equal(np.concatenate([part for (part,) in pieces(values)]), values)
    for one, other in pieces(values, new_curve(LONG)):
        other[:] = one
    assert list(pieces(np.zeros(0))) == []


def test_a_full_disk_leaves_it_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert isinstance(new_curve(LONG).base, type(None))


@pytest.mark.parametrize(
    "name", ["gate", "compressor", "transient", "deess", "saturation", "limiter", "expander", "multiband"]
)
def test_where_a_curve_lies_changes_no_sample(
    name: str, noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = noise(4 * 44_100) * np.repeat([1.0, 0.05, 0.4, 0.01], 44_100).astype(np.float32)
    effect = effects()[name].model_validate({"ceiling_db": -20.0} if name == "limiter" else {})

    def digest() -> str:
        return hashlib.sha256(effect.apply(audio, 44_100).tobytes()).hexdigest()

    in_memory = digest()
    monkeypatch.setattr(curves, "_IN_MEMORY", 10)
    assert digest() == in_memory


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells what is resident")
def test_resident_memory_stays_flat() -> None:
    from engine.processors.level import Envelope

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    class Long(AudioBuffer):
        """An hour and a half of sound at a low rate, made when it is read."""

        def read(self, start: int, stop: int) -> Audio:
            return np.full((1, stop - start), 0.1, np.float32)

    source = Long.memory(1, 1, 8_000)
    source.frames = 90 * 60 * 8_000
    before = resident_mb()
    envelope = Envelope.of(source)
    assert len(envelope.peak) * 8 > 40e6
    assert envelope.gated_db == pytest.approx(-20.0, abs=0.01)
    assert envelope.peak_db == pytest.approx(-20.0, abs=0.01)
    envelope.apply(envelope.peak)
    assert resident_mb() - before < 15

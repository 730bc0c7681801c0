"""Glue: takes as much as it is told, at any loudness and density, and keeps level and place."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.glue import Glue
from engine.processors.level import Envelope

RATE = 44_100


def mix(spread_db: float, level: float = 0.1, seconds: int = 12) -> np.ndarray:
    """Noise whose level changes every tenth of a second within `spread_db`."""
    rng = np.random.default_rng(0)
    swell = np.repeat(10 ** (rng.uniform(-spread_db, 0, 10 * seconds) / 20), RATE // 10)
    return (level * swell * rng.standard_normal((2, len(swell)))).astype(np.float32)


@pytest.mark.parametrize("spread_db", [3.0, 12.0])
@pytest.mark.parametrize("reduction_db", [0.7, 2.0])
def test_it_takes_what_it_is_told(spread_db: float, reduction_db: float) -> None:
    found = Glue(reduction_db=reduction_db).analyse(AudioBuffer.of(mix(spread_db), RATE))
    assert found is not None
    mean = -float(np.mean(20 * np.log10(found.curve.gain)))
    # The release holds on, so it is more rather than less.
    assert 0.6 * reduction_db < mean < 2 * reduction_db
    assert -found.curve.lowest_db <= 3 * reduction_db + 0.01


def test_it_does_not_undo_itself_on_a_quiet_mix() -> None:
    loud, quiet = (
        Glue(reduction_db=2).analyse(AudioBuffer.of(mix(12, level), RATE)) for level in (0.1, 0.001)
    )
    assert loud is not None
    assert quiet is not None
    np.testing.assert_allclose(loud.curve.gain, quiet.curve.gain, rtol=1e-3)


def test_a_kick_does_not_duck_the_rest() -> None:
    t = np.arange(8 * RATE) / RATE
    kick = 0.8 * np.exp(-20 * (t % 0.5)) * np.sin(2 * np.pi * 50 * t)
    pad = 0.1 * np.sin(2 * np.pi * 800 * t)
    swings = []
    for detector_hz in (20.0, 100.0):
        found = Glue(reduction_db=2, detector_hz=detector_hz).analyse(
            AudioBuffer.of((kick + pad)[None], RATE)
        )
        assert found is not None
        settled = 20 * np.log10(found.curve.gain)[len(found.curve.gain) // 4 :]
        swings.append(settled.max() - settled.min())
    assert swings[1] < 0.25 * swings[0]


def test_the_level_stays() -> None:
    dry = mix(12)
    wet = Glue(reduction_db=3).apply(dry, RATE)
    before, after = (Envelope.of(AudioBuffer.of(audio, RATE)).gated_db for audio in (dry, wet))
    assert after == pytest.approx(before, abs=0.1)


def test_it_makes_a_mix_denser() -> None:
    dry = mix(12)
    wet = Glue(reduction_db=2, ratio=3).apply(dry, RATE)
    spread = [
        np.std(10 * np.log10(np.mean(np.square(a).reshape(2, -1, RATE // 10), axis=(0, 2))))
        for a in (dry, wet)
    ]
    assert spread[1] < 0.95 * spread[0]


def test_nothing_to_do() -> None:
    assert Glue(reduction_db=0).analyse(AudioBuffer.of(mix(6, seconds=2), RATE)) is None
    assert Glue(ratio=1).analyse(AudioBuffer.of(mix(6, seconds=2), RATE)) is None
    assert Glue().analyse(AudioBuffer.of(np.zeros((2, RATE)), RATE)) is None


def test_the_report_tells_what_was_done() -> None:
    source = AudioBuffer.of(mix(12, seconds=3), RATE)
    report = Glue(reduction_db=2).process(source, source.like())
    assert 1 < report["max_reduction_db"] <= 6
    assert report["makeup_db"] > 0

"""Multiband: each band by itself, nothing between them, and the bands sum to the input."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from engine.audio.buffer import AudioBuffer
from engine.processors.multiband import Multiband

RATE = 44_100


def two_bands(steady_hz: float = 3000.0) -> np.ndarray:
    """A bass at 60 Hz that steps by 12 dB every half second, and a steady tone."""
    t = np.arange(4 * RATE) / RATE
    step = np.where((t % 1.0) < 0.5, 0.25, 1.0)
    audio = 0.4 * step * np.sin(2 * np.pi * 60 * t) + 0.1 * np.sin(2 * np.pi * steady_hz * t)
    return np.stack([audio, 0.5 * audio]).astype(np.float32)


def line(audio: np.ndarray, hz: float, begin_s: float) -> float:
    """Level of a tone in 0.4 s, in dB."""
    part = audio[0, round(begin_s * RATE) :][: round(0.4 * RATE)].astype(np.float64)
    t = np.arange(len(part)) / RATE
    return float(20 * np.log10(2 * abs(np.mean(part * np.exp(-2j * np.pi * hz * t)))))


def test_a_loud_bass_turns_only_itself_down() -> None:
    dry = two_bands()
    wet = Multiband(threshold_db=-10, ratio=4, max_reduction_db=12, release_ms=60).apply(dry, RATE)
    swing = [line(audio, 60, 2.55) - line(audio, 60, 2.05) for audio in (dry, wet)]
    assert swing[0] == pytest.approx(12, abs=0.2)
    assert swing[1] < 8
    for begin in (2.05, 2.55):
        assert line(wet, 3000, begin) == pytest.approx(line(dry, 3000, begin), abs=0.02)


def test_bands_that_are_left_alone_are_untouched_to_the_bit() -> None:
    dry = two_bands()
    assert Multiband(threshold_db=30).analyse(AudioBuffer.of(dry, RATE)) is None
    np.testing.assert_array_equal(Multiband(threshold_db=30).apply(dry, RATE), dry)


def test_nothing_turns_around_an_edge() -> None:
    impulse = np.zeros((1, 2 * RATE), np.float32)
    impulse[0, RATE] = 1
    steady = np.random.default_rng(0).standard_normal((1, 2 * RATE)).astype(np.float32) * 0.1
    effect = Multiband(threshold_db=-10, ratio=4)
    source = AudioBuffer.of(steady, RATE)
    found = effect.analyse(source)
    assert found is not None
    flat = type(found)(
        found.edges_hz,
        tuple(type(curve)(np.full_like(curve.gain, 0.5), curve.hop_length) for curve in found.curves),
        found.makeup_db,
    )
    # All gains equal: the bands sum to the input at that gain.
    np.testing.assert_allclose(effect.render(impulse, 0, RATE, flat), 0.5 * impulse, atol=1e-6)


def test_each_bands_level_stays() -> None:
    rng = np.random.default_rng(1)
    swell = np.repeat(10 ** (rng.uniform(-15, 0, 60) / 20), RATE // 10)
    dry = (0.1 * swell * rng.standard_normal((2, len(swell)))).astype(np.float32)
    wet = Multiband(threshold_db=-6, ratio=3).apply(dry, RATE)
    freqs = np.fft.rfftfreq(dry.shape[1], 1 / RATE)
    power = [np.square(np.abs(np.fft.rfft(audio[0]))) for audio in (dry, wet)]
    for low, high in ((200, 900), (1500, 5000), (8000, 20_000)):
        inside = (freqs > low) & (freqs < high)
        assert 10 * np.log10(power[1][inside].sum() / power[0][inside].sum()) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("edges", [[], [300, 200], [300, 350], [10], [20_000], [50, 100, 200, 400, 800]])
def test_edges_that_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValidationError, match="crossovers_hz"):
        Multiband(crossovers_hz=edges)


def test_a_rate_without_the_upper_bands() -> None:
    audio = np.random.default_rng(2).standard_normal((1, 8000)).astype(np.float32)
    found = Multiband(threshold_db=-20).analyse(AudioBuffer.of(audio, 8000))
    assert found is not None
    assert found.edges_hz == (150.0, 1200.0)


def test_the_report_tells_band_by_band() -> None:
    source = AudioBuffer.of(two_bands(), RATE)
    report = Multiband(threshold_db=-10, ratio=4).process(source, source.like())
    assert len(report["bands"]) == 4
    assert report["bands"][0]["max_reduction_db"] > 2
    assert report["bands"][3]["max_reduction_db"] == 0

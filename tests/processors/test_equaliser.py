"""Equaliser: responses against the cookbook's own analogue formulas, phase, and rates."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from engine.audio.buffer import Audio
from engine.processors.equaliser import Equaliser
from engine.processors.filters import Band

RATE = 44_100


def impulse(rate: int, seconds: float = 1.0) -> Audio:
    audio = np.zeros((1, int(rate * seconds)), np.float32)
    audio[0, audio.shape[1] // 2] = 1.0
    return audio


def response(equaliser: Equaliser, frequency_hz: float, rate: int = RATE) -> complex:
    """Gain and phase at one frequency, against the impulse that went in."""
    audio = impulse(rate)
    out = equaliser.apply(audio, rate)[0].astype(np.float64)
    t = np.arange(out.size) - out.size // 2
    return complex(out @ np.exp(-2j * np.pi * frequency_hz / rate * t))


def db(value: complex) -> float:
    return 20 * float(np.log10(abs(value)))


@pytest.mark.parametrize("phase", ["zero", "minimum"])
@pytest.mark.parametrize("rate", [22_050, 44_100, 192_000])
def test_bell_and_shelves_reach_their_gain(phase: str, rate: int) -> None:
    def at(probe_hz: float, /, **band: object) -> float:
        return db(response(Equaliser(bands=(Band(**band),), phase=phase), probe_hz, rate))

    bell = {"kind": "bell", "frequency_hz": 1000, "gain_db": 6, "q": 1}
    assert at(1000, **bell) == pytest.approx(6, abs=0.05)
    assert at(30, **bell) == pytest.approx(0, abs=0.05)
    low = {"kind": "low_shelf", "frequency_hz": 300, "gain_db": -4}
    assert at(30, **low) == pytest.approx(-4, abs=0.05)
    assert at(300, **low) == pytest.approx(-2, abs=0.05)
    assert at(8000, **low) == pytest.approx(0, abs=0.05)
    high = {"kind": "high_shelf", "frequency_hz": 2000, "gain_db": 3}
    assert at(40, **high) == pytest.approx(0, abs=0.05)
    assert at(2000, **high) == pytest.approx(1.5, abs=0.05)
    assert at(9000, **high) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("slope", [12, 24, 36, 48])
def test_passes_are_butterworth(slope: int) -> None:
    equaliser = Equaliser(bands=(Band(kind="high_pass", frequency_hz=80, slope=slope),))
    # The filter is as long as it is: the steepest slopes are a little less steep.
    assert db(response(equaliser, 80)) == pytest.approx(-3.01, abs=0.15)
    assert db(response(equaliser, 40)) == pytest.approx(
        -10 * np.log10(1 + 2 ** (slope // 3)), abs=0.04 * slope
    )
    assert db(response(equaliser, 1000)) == pytest.approx(0, abs=0.01)


def test_zero_phase_turns_no_phase() -> None:
    bands = (
        Band(kind="high_pass", frequency_hz=30),
        Band(kind="bell", frequency_hz=3000, gain_db=6),
        Band(kind="high_shelf", frequency_hz=9000, gain_db=-3),
    )
    out = Equaliser(bands=bands).apply(impulse(RATE), RATE)[0]
    middle = out.size // 2
    # float32 rounding of a symmetric impulse response.
    assert (
        np.max(np.abs(out[middle + 1 : middle + 4000] - out[middle - 4000 + 1 : middle][::-1][:3999])) < 1e-6
    )


def test_minimum_phase_does_not_ring_before() -> None:
    out = Equaliser(bands=(Band(kind="high_pass", frequency_hz=60),), phase="minimum").apply(
        impulse(RATE), RATE
    )[0]
    assert not out[: out.size // 2].any()


def test_mixed_phase_rings_before_nothing_low_and_turns_nothing_high() -> None:
    low, high = Band(kind="high_pass", frequency_hz=40), Band(kind="bell", frequency_hz=2000, gain_db=6)
    for_low = Equaliser(bands=(low,), phase="mixed").apply(impulse(RATE), RATE)[0]
    assert not for_low[: for_low.size // 2].any()
    for_high = Equaliser(bands=(high,), phase="mixed").apply(impulse(RATE), RATE)
    np.testing.assert_array_equal(for_high, Equaliser(bands=(high,)).apply(impulse(RATE), RATE))
    both = Equaliser(bands=(high, low), phase="mixed")
    assert db(response(both, 2000)) == pytest.approx(6, abs=0.05)
    assert abs(np.angle(response(both, 2000), deg=True)) < 2
    expected = response(Equaliser(bands=(low,), phase="minimum"), 40)
    assert abs(response(both, 40) - expected) < 0.01


def test_bands_in_series_add_in_db() -> None:
    one = Band(kind="bell", frequency_hz=1000, gain_db=3)
    two = Band(kind="low_shelf", frequency_hz=2000, gain_db=-2)
    both = db(response(Equaliser(bands=(one, two)), 1000))
    apart = db(response(Equaliser(bands=(one,)), 1000)) + db(response(Equaliser(bands=(two,)), 1000))
    assert both == pytest.approx(apart, abs=0.01)


def test_neutral_bands_and_bands_above_nyquist_leave_the_samples() -> None:
    audio = np.random.default_rng(0).standard_normal((2, 5000)).astype(np.float32)
    above = (
        Band(kind="high_shelf", frequency_hz=9000, gain_db=6),
        Band(kind="low_pass", frequency_hz=15_000),
    )
    assert np.array_equal(Equaliser(bands=above).apply(audio, 8000), audio)
    assert np.array_equal(Equaliser(bands=(Band(kind="bell", frequency_hz=900),)).apply(audio, 8000), audio)


def test_channels_are_filtered_alike() -> None:
    audio = np.random.default_rng(0).standard_normal((1, 30_000)).astype(np.float32)
    equaliser = Equaliser(bands=(Band(kind="bell", frequency_hz=900, gain_db=4),))
    stereo = equaliser.apply(np.concatenate((audio, audio)), RATE)
    assert np.array_equal(stereo[0], stereo[1])


@pytest.mark.parametrize(
    "band",
    [
        {"kind": "notch", "frequency_hz": 100},
        {"kind": "bell"},
        {"kind": "bell", "frequency_hz": 0},
        {"kind": "high_pass", "frequency_hz": 50, "slope": 7},
        {"kind": "bell", "frequency_hz": 50, "gain_db": 60},
    ],
)
def test_refuses_what_it_can_not_do(band: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Equaliser(bands=(band,))

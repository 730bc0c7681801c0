from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.audio.dither import Dither

RATE, FRAMES = 48_000, 1 << 17


def sine(amplitude: float, cycles: int = 2731) -> np.ndarray:
    phase = 2 * np.pi * cycles * np.arange(FRAMES) / FRAMES
    return (amplitude * np.sin(phase))[None].astype(np.float32)


def error_in_steps(audio: np.ndarray, bits: int) -> np.ndarray:
    scale = 2.0 ** (bits - 1)
    return Dither(bits, seed=1).quantise(audio) - audio.astype(np.float64) * scale


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("amplitude", [0.0, 1e-5, 0.3])
def test_the_error_is_white_and_a_quarter_step_squared(bits: int, amplitude: float) -> None:
    error = error_in_steps(sine(amplitude), bits)[0]
    # TPDF dither (1/6) and rounding (1/12): 1/4 step squared, at any level of the signal.
    assert error.var() == pytest.approx(0.25, rel=0.02)
    assert abs(error.mean()) < 0.01
    power = np.abs(np.fft.rfft(error)) ** 2
    bands = power[1:].reshape(64, -1).mean(axis=1)
    assert 10 * np.log10(bands.max() / bands.min()) < 1.5
    # The highest of 65536 lines of white noise lies about 10.5 dB above their mean.
    assert 10 * np.log10(power[1:].max() / power[1:].mean()) < 13


def test_a_sine_below_one_step_survives_without_harmonics() -> None:
    audio = sine(10 ** (-96 / 20))
    bins = 2731 * np.arange(2, 12)
    plain = np.rint(audio * 32768)[0]
    dithered = Dither(16, seed=0).quantise(audio)[0]

    def line(samples: np.ndarray, number: int) -> float:
        return 20 * np.log10(np.abs(np.fft.rfft(samples))[number] / (FRAMES / 2) / 32768 + 1e-12)

    assert line(dithered, 2731) == pytest.approx(-96, abs=0.2)
    assert max(line(plain, number) for number in bins) > -110
    assert max(line(dithered, number) for number in bins) < -130


def test_channels_get_independent_dither() -> None:
    error = Dither(16, seed=0).quantise(np.zeros((2, FRAMES), np.float32))
    assert abs(np.corrcoef(error)[0, 1]) < 0.02


def test_it_depends_on_seed_and_place_only() -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 10_000)).astype(np.float32)
    whole = Dither(16, seed=3).quantise(audio)
    dither = Dither(16, seed=3)
    cuts = [0, 1, 2, 500, 501, 9_999, 10_000]
    pieces = [dither.quantise(audio[:, a:b]) for a, b in pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    assert (Dither(16, seed=4).quantise(audio) != whole).any()


def test_full_scale_saturates_and_never_wraps() -> None:
    dither = Dither(16, seed=0)
    found = dither.quantise(np.float32([[1.0, -1.0, 1.001, -1.001, 100.0, -100.0]]))
    assert found.min() == -32768
    assert found.max() == 32767
    assert (np.sign(found) == [[1, -1, 1, -1, 1, -1]]).all()
    assert dither.clipped == 4

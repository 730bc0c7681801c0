"""Saturation: harmonics where they belong, no aliases, no DC, the same level and place."""

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.saturation import Saturation

SR = 44100
N = 4 * SR


def sine(hz: float, level: float = 0.3, count: int = N) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(count) / SR))[None].astype(np.float32)


def energy_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-30))


def lines_db(audio: np.ndarray) -> np.ndarray:
    """Level of every 1 Hz line of the second in the middle, relative to the strongest."""
    middle = audio[0, N // 2 - SR // 2 : N // 2 + SR // 2].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(SR)))
    return 20 * np.log10(spectrum / spectrum.max() + 1e-12)


def test_a_tone_gets_odd_harmonics():
    lines = lines_db(Saturation(drive_db=-3).apply(sine(1000), SR))
    assert -35 < lines[3000] < -10
    assert lines[5000] < lines[3000]
    assert lines[2000] < -90


@pytest.mark.parametrize("drive_db", [-6, 0])
def test_aliases_are_below_50_db(drive_db):
    lines = lines_db(Saturation(drive_db=drive_db).apply(sine(9000), SR))
    lines[8990:9011] = -200
    assert lines.max() < -50


def test_the_spectrum_above_the_resamplers_stays():
    lines = lines_db(Saturation().apply(sine(1000) + sine(21500, 0.1), SR))
    assert lines[21500] == pytest.approx(lines_db(sine(1000) + sine(21500, 0.1))[21500], abs=0.5)


def test_no_direct_current_from_an_asymmetric_wave():
    t = np.arange(N) / SR
    wave = sum(np.cos(2 * np.pi * 110 * k * t) for k in range(1, 8))[None]
    dry = (0.05 * wave).astype(np.float32)
    wet = Saturation(drive_db=6).apply(dry, SR)
    middle = wet[0, SR : 3 * SR]
    assert abs(middle.mean()) < 1e-5
    assert energy_db(wet - dry) > -40


@pytest.mark.parametrize(
    "settings", [{}, {"drive_db": 0}, {"drive_db": 0, "below_hz": 300}, {"above_hz": 2000}]
)
def test_level_is_kept(settings):
    rng = np.random.default_rng(0)
    dry = (0.1 * rng.standard_normal((2, N)) * np.repeat(rng.uniform(0.2, 1, 40), N // 40)).astype(np.float32)
    wet = Saturation(**settings).apply(dry, SR)
    assert energy_db(wet) == pytest.approx(energy_db(dry), abs=0.1)
    assert energy_db(wet - dry) > -80


def test_bass_gets_harmonics_and_the_rest_does_not():
    dry = sine(60) + sine(2000, 0.1)
    lines = lines_db(Saturation(drive_db=0, below_hz=120).apply(dry, SR))
    assert lines[180] > -30
    assert lines[6000] < -90
    # Nor does the bass modulate it.
    assert max(lines[2000 - 120], lines[2000 + 120]) < -90


def test_an_exciter_adds_only_above():
    dry = sine(300) + sine(3500, 0.05) + sine(4100, 0.05)
    lines = lines_db(Saturation(drive_db=0, above_hz=2500).apply(dry, SR))
    assert lines[10500] > -60
    assert lines[900] < -90
    assert lines[600] < -80


def test_nothing_moves():
    rng = np.random.default_rng(1)
    dry = (0.1 * rng.standard_normal((1, N))).astype(np.float32)
    for settings in ({"drive_db": 0}, {"drive_db": 0, "below_hz": 1000}, {"drive_db": 0, "above_hz": 1000}):
        wet = Saturation(**settings).apply(dry, SR)
        spectrum = np.fft.rfft(wet[0]) * np.conj(np.fft.rfft(dry[0]))
        correlation = np.fft.irfft(spectrum).astype(float)
        assert np.argmax(correlation) == 0
        # Symmetric about zero: no fraction of a sample either.
        assert correlation[1] == pytest.approx(correlation[-1], abs=1e-3 * correlation[0])


@pytest.mark.parametrize("settings", [{}, {"below_hz": 150}, {"above_hz": 3000}])
def test_a_quieter_stem_comes_out_quieter_and_otherwise_the_same(settings):
    dry = (0.1 * np.random.default_rng(2).standard_normal((2, N))).astype(np.float32)
    fx = Saturation(drive_db=-3, **settings)
    loud, quiet = fx.apply(dry, SR), fx.apply(dry * np.float32(0.1), SR)
    assert energy_db(quiet * 10 - loud) - energy_db(loud) < -90


def test_blocks_do_not_show(monkeypatch):
    dry = (0.1 * np.random.default_rng(3).standard_normal((1, N))).astype(np.float32)
    for settings in ({}, {"above_hz": 1000}, {"below_hz": 200}):
        fx = Saturation(drive_db=0, **settings)
        whole = fx.apply(dry, SR)
        with monkeypatch.context() as patch:
            for module in ("saturation", "processor"):
                patch.setattr(f"engine.processors.{module}.BLOCK_FRAMES", 1 << 15)
            assert energy_db(fx.apply(dry, SR) - whole) - energy_db(dry) < -80


def test_nothing_to_do():
    assert Saturation().analyse(AudioBuffer.of(np.zeros((2, SR)), SR)) is None
    assert Saturation(above_hz=5000).analyse(AudioBuffer.of(np.ones((1, 8000)), 8000)) is None
    assert Saturation(above_hz=8000).analyse(AudioBuffer.of(sine(100), SR)) is None


def test_an_empty_band_is_refused():
    with pytest.raises(ValueError, match="above_hz"):
        Saturation(below_hz=100, above_hz=200)


def test_the_report_tells_what_was_done():
    source = AudioBuffer.of(sine(1000), SR)
    report = Saturation(drive_db=0).process(source, source.like())
    assert -40 < report["distortion_db"] < -10
    assert report["reference_db"] == pytest.approx(20 * np.log10(0.3) - 3.01, abs=0.05)

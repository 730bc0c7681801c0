"""Limiter: no true peak above the ceiling for any input, and not a bit changed without need."""

import numpy as np
import pyebur128
import pytest
from scipy.signal import resample_poly

from engine.audio.buffer import AudioBuffer
from engine.processors.limiter import Limiter

SR = 44100
N = 3 * SR
T = np.arange(N) / SR
RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal((2, N))

LOUD = {
    "white noise": 0.5 * NOISE,
    "clipped noise": np.clip(2 * NOISE, -1, 1),
    "random signs": np.sign(NOISE),
    "full-scale square": np.sign(np.sin(2 * np.pi * 997 * T))[None],
    "inter-sample sine": np.sin(np.pi / 2 * np.arange(N) + np.pi / 4)[None],
    "fast sine": 1.5 * np.sin(2 * np.pi * 0.45 * np.arange(N))[None],
    "low sine": 4 * np.sin(2 * np.pi * 40 * T)[None],
    "bursts": 3 * NOISE * (np.sin(2 * np.pi * 3 * T) > 0.9),
    "impulses": 2.0 * (np.arange(N) % 5003 == 0)[None],
    "far too loud": 100 * NOISE,
}


def oversampled_peak_db(audio: np.ndarray) -> float:
    return float(20 * np.log10(np.abs(resample_poly(audio, 8, 1, axis=1)).max()))


def ebur128_peak_db(audio: np.ndarray, rate: int = SR) -> float:
    channels, frames = audio.shape
    state = pyebur128.R128State(channels, rate, pyebur128.MeasurementMode.MODE_TRUE_PEAK)
    state.add_frames(np.ascontiguousarray(audio.T).ravel(), frames)
    return float(20 * np.log10(max(pyebur128.get_true_peak(state, c) for c in range(channels))))


@pytest.mark.parametrize("name", LOUD)
@pytest.mark.parametrize("ceiling_db", [-1.0, -9.0])
def test_no_true_peak_above_the_ceiling(name, ceiling_db):
    wet = Limiter(ceiling_db=ceiling_db).apply(LOUD[name].astype(np.float32), SR)
    assert np.isfinite(wet).all()
    assert oversampled_peak_db(wet) <= ceiling_db + 0.01
    assert ebur128_peak_db(wet) <= ceiling_db + 0.01


@pytest.mark.parametrize(
    "settings", [{"lookahead_ms": 1, "release_ms": 1}, {"lookahead_ms": 20, "release_ms": 2000}]
)
def test_the_ceiling_holds_for_any_setting(settings):
    wet = Limiter(**settings).apply((2 * NOISE).astype(np.float32), SR)
    assert oversampled_peak_db(wet) <= -0.99
    assert ebur128_peak_db(wet) <= -0.99


@pytest.mark.parametrize("rate", [8000, 16000, 48000, 96000, 192000])
def test_other_rates(rate):
    wet = Limiter().apply(NOISE[:, :rate].astype(np.float32), rate)
    assert oversampled_peak_db(wet) <= -0.99
    assert ebur128_peak_db(wet, rate) <= -0.99


def test_the_ceiling_is_reached():
    wet = Limiter().apply((3 * np.sin(2 * np.pi * 300 * T))[None].astype(np.float32), SR)
    assert oversampled_peak_db(wet) == pytest.approx(-1, abs=0.05)


def test_below_the_ceiling_not_a_bit_changes():
    dry = (0.1 * NOISE).astype(np.float32)
    limiter = Limiter()
    assert limiter.analyse(AudioBuffer.of(dry, SR)) is None
    np.testing.assert_array_equal(limiter.apply(dry, SR), dry)


def test_a_peak_between_the_samples_is_seen():
    fade = np.minimum(1, 10 * np.minimum(T, T[::-1]))
    hidden = (0.92 * fade * np.sin(np.pi / 2 * np.arange(N) + np.pi / 4))[None].astype(np.float32)
    assert np.abs(hidden).max() < 10 ** (-1 / 20)
    found = Limiter().analyse(AudioBuffer.of(hidden, SR))
    assert found.true_peak_db == pytest.approx(20 * np.log10(0.92), abs=0.02)


def test_one_peak_is_lowered_around_itself_only():
    dry = (0.02 * NOISE).astype(np.float32)
    dry[:, SR] = 1.5
    wet = Limiter(release_ms=20).apply(dry, SR)
    np.testing.assert_array_equal(wet[:, : SR - SR // 100], dry[:, : SR - SR // 100])
    np.testing.assert_array_equal(wet[:, SR + SR // 2 :], dry[:, SR + SR // 2 :])
    assert np.abs(wet[:, SR]).max() < 0.9


def test_the_stereo_image_stays():
    dry = np.stack([2 * NOISE[0], 0.2 * NOISE[0]]).astype(np.float32)
    wet = Limiter().apply(dry, SR)
    np.testing.assert_allclose(wet[1], 0.1 * wet[0], rtol=1e-5, atol=1e-8)


def test_nothing_moves():
    dry = NOISE[:1].astype(np.float32)
    wet = Limiter().apply(dry, SR)
    assert np.argmax(np.fft.irfft(np.fft.rfft(wet[0]) * np.conj(np.fft.rfft(dry[0])))) == 0


def test_blocks_do_not_show(monkeypatch):
    dry = (2 * NOISE).astype(np.float32)
    whole = Limiter().apply(dry, SR)
    for module in ("limiter", "processor"):
        monkeypatch.setattr(f"engine.processors.{module}.BLOCK_FRAMES", 1 << 13)
    np.testing.assert_allclose(Limiter().apply(dry, SR), whole, atol=1e-6)


def test_silence_and_one_sample():
    assert Limiter().analyse(AudioBuffer.of(np.zeros((2, SR)), SR)) is None
    wet = Limiter().apply(np.full((2, 1), 2, np.float32), SR)
    assert wet.shape == (2, 1)
    assert np.abs(wet).max() <= 10 ** (-1 / 20)


def test_the_report_tells_what_was_done():
    source = AudioBuffer.of(LOUD["low sine"], SR)
    report = Limiter().process(source, source.like())
    assert report["true_peak_db"] == pytest.approx(12.04, abs=0.05)
    assert report["max_reduction_db"] == pytest.approx(13.06, abs=0.05)
    assert report["active_share"] > 0.95

"""De-esser: against a voice whose sibilants are known, lowers them and leaves the vowels alone."""

from functools import lru_cache

import numpy as np
import pytest
from scipy.signal import butter, lfilter, sosfilt

from engine.audio.buffer import AudioBuffer
from engine.processors.deess import Deess

SR = 44100


@lru_cache
def vowels(seconds: int = 6, rate: int = SR) -> np.ndarray:
    """A sung tone with three formants and vibrato, interrupted by the sibilants' gaps."""
    t = np.arange(seconds * rate) / rate
    phase = 2 * np.pi * np.cumsum(180 * (1 + 0.02 * np.sin(2 * np.pi * 5 * t))) / rate
    pulses = sum(np.cos(k * phase) for k in range(1, min(60, int(0.45 * rate / 190))))
    for hz, width in ((600, 90), (1200, 110), (2600, 160)):
        r = np.exp(-np.pi * width / rate)
        pulses = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hz / rate), r * r], pulses)
    voice = pulses * (1 - mask(t))
    return (0.1 * voice / np.sqrt(np.mean(voice**2)))[None].astype(np.float32)


def mask(t: np.ndarray) -> np.ndarray:
    """1 during the sibilants: 120 ms every 0.5 s, with ramps of 15 ms."""
    at = t % 0.5
    return np.clip(np.minimum(at - 0.3, 0.42 - at) / 0.015, 0, 1)


@lru_cache
def sibilants(seconds: int = 6) -> np.ndarray:
    t = np.arange(seconds * SR) / SR
    hiss = np.random.default_rng(0).standard_normal(len(t))
    shaped = sosfilt(butter(2, [5500, 10000], "bandpass", fs=SR, output="sos"), hiss)
    return (0.06 * mask(t) * shaped / np.std(shaped))[None].astype(np.float32)


def energy_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-30))


def sdr_db(estimate: np.ndarray, truth: np.ndarray) -> float:
    return energy_db(truth) - energy_db(estimate - truth)


def test_sibilants_come_close_to_the_truth():
    dry = vowels() + sibilants()
    truth = vowels() + sibilants() * np.float32(10 ** (-8 / 20))
    wet = Deess(range_db=8).apply(dry, SR)
    assert sdr_db(wet, truth) > 30
    assert sdr_db(wet, truth) > sdr_db(dry, truth) + 10


def test_vowels_are_untouched():
    dry = vowels() + sibilants()
    wet = Deess(range_db=8).apply(dry, SR)
    t = np.arange(dry.shape[1]) / SR
    elsewhere = (t % 0.5 < 0.28) | (t % 0.5 > 0.44)
    assert energy_db((wet - dry)[:, elsewhere]) - energy_db(dry) < -59


def test_only_the_band_is_lowered():
    low = (0.05 * np.sin(2 * np.pi * 300 * np.arange(6 * SR) / SR))[None].astype(np.float32)
    wet = Deess().apply(low + 2 * sibilants(), SR)
    window = np.hanning(low.shape[1])
    spectra = [np.abs(np.fft.rfft(audio[0] * window))[1700:1900] for audio in (wet, low)]
    assert 20 * np.log10(spectra[0].max() / spectra[1].max()) == pytest.approx(0, abs=0.01)


def test_a_voice_without_sibilants_is_bit_exact():
    assert Deess().analyse(AudioBuffer.of(vowels(), SR)) is None
    np.testing.assert_array_equal(Deess().apply(vowels(), SR), vowels())


def test_hiss_in_pauses_is_not_a_sibilant():
    hiss = 1e-4 * np.random.default_rng(3).standard_normal((1, 2 * SR))
    dry = np.concatenate([vowels(), hiss.astype(np.float32)], axis=1)
    assert Deess().analyse(AudioBuffer.of(dry, SR)) is None


def test_sibilants_that_are_soft_already_stay():
    dry = vowels() + sibilants()
    found = [Deess(floor_db=floor).analyse(AudioBuffer.of(dry, SR)) for floor in (-40, -6, 10)]
    assert found[0].curve.lowest_db == pytest.approx(-8, abs=0.01)
    assert found[0].curve.lowest_db < found[1].curve.lowest_db < -0.5
    assert found[2] is None


def test_a_quieter_voice_comes_out_quieter_and_otherwise_the_same():
    dry = vowels() + sibilants()
    loud, quiet = Deess().apply(dry, SR), Deess().apply(dry * np.float32(0.1), SR)
    assert energy_db(quiet * 10 - loud) - energy_db(loud) < -90


def test_the_stereo_image_stays():
    dry = vowels() + sibilants()
    wet = Deess().apply(np.concatenate([dry, 0.3 * dry]), SR)
    np.testing.assert_allclose(wet[1], 0.3 * wet[0], atol=1e-6)


def test_blocks_do_not_show(monkeypatch):
    dry = vowels() + sibilants()
    whole = Deess().apply(dry, SR)
    for module in ("deess", "processor"):
        monkeypatch.setattr(f"engine.processors.{module}.BLOCK_FRAMES", 1 << 13)
    assert energy_db(Deess().apply(dry, SR) - whole) < -130


def test_a_rate_without_the_band_is_left_alone():
    rate = 8000
    dry = vowels(2, rate)
    assert Deess().analyse(AudioBuffer.of(dry, rate)) is None
    assert Deess().analyse(AudioBuffer.of(np.zeros((2, SR)), SR)) is None


@pytest.mark.parametrize("rate", [11025, 16000, 96000, 192000])
def test_other_rates(rate):
    noise = (0.1 * np.random.default_rng(4).standard_normal((2, rate))).astype(np.float32)
    wet = Deess(threshold_db=-20).apply(noise, rate)
    assert np.isfinite(wet).all()
    assert energy_db(wet) < energy_db(noise)


def test_the_report_tells_what_was_done():
    source = AudioBuffer.of(vowels() + sibilants(), SR)
    report = Deess().process(source, source.like())
    assert report["max_reduction_db"] == pytest.approx(8, abs=0.01)
    assert 0.1 < report["active_share"] < 0.4

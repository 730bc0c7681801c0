"""Measures of one recording against closed forms and independent implementations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from engine.audio.buffer import Audio, AudioBuffer
from engine.metrics.bandwidth import bandwidth
from engine.metrics.comb_residue import comb_residue
from engine.metrics.dynamics import dynamics
from engine.metrics.mono_loss import mono_loss
from engine.metrics.shimmer_index import shimmer_index
from engine.metrics.snr_estimate import snr_estimate_db
from engine.metrics.spectral_flatness import spectral_flatness_db
from engine.metrics.stereo_correlation import stereo_correlation
from engine.metrics.thd import total_harmonic_distortion

RATE = 44_100
Noise = Callable[..., Audio]


def of(audio: np.ndarray, rate: int = RATE) -> AudioBuffer:
    return AudioBuffer.of(audio, rate)


def times(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.arange(round(seconds * rate)) / rate


@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
def test_harmonic_distortion_is_the_ratio_of_the_amplitudes_that_were_put_in(rate: int) -> None:
    time = times(4, rate)
    tone = np.sin(2 * np.pi * 997 * time)
    tone += 0.003 * np.sin(2 * np.pi * 2 * 997 * time + 1) + 0.004 * np.cos(2 * np.pi * 3 * 997 * time)
    found = total_harmonic_distortion(of(0.3 * tone[None], rate))
    assert found is not None
    assert found.thd_percent == pytest.approx(0.5, rel=1e-3)
    assert found.fundamental_hz == pytest.approx(997, abs=0.01)


def test_music_and_noise_get_no_harmonic_distortion(noise: Noise) -> None:
    assert total_harmonic_distortion(of(noise(2 * RATE))) is None
    chord = np.sum([np.sin(2 * np.pi * f * times(2)) for f in (220, 277, 330)], axis=0)
    assert total_harmonic_distortion(of(chord[None] * 0.2)) is None


def test_a_pure_tone_has_distortion_far_below_what_anybody_hears() -> None:
    found = total_harmonic_distortion(of(0.5 * np.sin(2 * np.pi * 1000 * times(3))[None]))
    assert found is not None
    assert found.thd_db < -120


def test_white_noise_has_the_flatness_that_an_exponential_distribution_gives(noise: Noise) -> None:
    # exp(-Euler's constant) is the geometric over the arithmetic mean of an exponential distribution.
    expected = 10 * np.log10(np.exp(-np.euler_gamma))
    assert spectral_flatness_db(of(noise(5 * RATE))) == pytest.approx(expected, abs=0.05)


def test_a_tone_is_far_from_flat() -> None:
    tone = np.sin(2 * np.pi * 1000 * times(2))[None]
    assert (spectral_flatness_db(of(tone)) or 0.0) < -40


@pytest.mark.parametrize("snr_db", [10, 30, 50])
def test_the_snr_of_a_tone_with_pauses_in_noise_is_found(snr_db: float) -> None:
    time = times(10)
    tone = np.sin(2 * np.pi * 440 * time) * (np.sin(2 * np.pi * time) > 0)
    level = np.sqrt(np.mean(tone**2)) * 10 ** (-snr_db / 20)
    noisy = tone + level * np.random.default_rng(0).standard_normal(tone.size)
    assert snr_estimate_db(of(0.2 * noisy[None])) == pytest.approx(snr_db, abs=0.7)


def test_steady_noise_is_all_floor_and_silence_has_no_snr(noise: Noise) -> None:
    assert (snr_estimate_db(of(noise(5 * RATE))) or 0.0) < 0
    assert snr_estimate_db(of(np.zeros((2, RATE)))) is None


@pytest.mark.parametrize("cutoff_hz", [8000, 12000, 16000, 19000])
def test_a_cutoff_is_found_where_it_is(noise: Noise, cutoff_hz: float) -> None:
    taps = signal.firwin(511, cutoff_hz, window=("kaiser", 12), fs=RATE)
    filtered = signal.oaconvolve(noise(5 * RATE), taps[None], "same", axes=1)
    found = bandwidth(of(filtered))
    assert found.cutoff_hz == pytest.approx(cutoff_hz, abs=500)
    assert found.rolloff_hz == pytest.approx(0.99 * cutoff_hz, abs=200)


def test_a_gentle_slope_is_no_cutoff(noise: Noise) -> None:
    pink = signal.lfilter([1.0], [1.0, -0.97], noise(5 * RATE))
    assert bandwidth(of(pink)).cutoff_hz is None


def test_stereo_measures_of_equal_unrelated_and_inverted_channels(noise: Noise) -> None:
    left, right = noise(5 * RATE)
    equal, inverted = np.stack([left, left]), np.stack([left, -left])
    assert stereo_correlation(of(equal)) == pytest.approx(1.0, abs=1e-9)
    assert stereo_correlation(of(inverted)) == pytest.approx(-1.0, abs=1e-9)
    assert stereo_correlation(of(np.stack([left, right]))) == pytest.approx(
        np.corrcoef(left, right)[0, 1], abs=1e-3
    )
    losses = [mono_loss(of(pair)) for pair in (equal, np.stack([left, right]), inverted)]
    assert [loss.whole_db for loss in losses if loss] == pytest.approx([0.0, -3.01, -200.0], abs=0.1)
    assert stereo_correlation(of(left[None])) is None
    assert mono_loss(of(left[None])) is None


def test_mono_loss_names_the_band_that_is_inverted(noise: Noise) -> None:
    left = noise(5 * RATE, channels=1)[0]
    high = signal.sosfiltfilt(signal.butter(4, [3500, 4500], "bandpass", fs=RATE, output="sos"), left)
    found = mono_loss(of(np.stack([left, left - 2 * high])))
    assert found is not None
    assert found.worst_band_hz == pytest.approx(4000, rel=0.03)
    assert found.worst_band_db < -6
    assert found.whole_db > -1


def test_a_square_wave_has_no_crest_and_a_sine_three_decibels() -> None:
    sine = np.sin(2 * np.pi * 1000 * times(4))
    assert dynamics(of(sine[None])).loudness.crest_db == pytest.approx(3.01, abs=0.01)
    assert dynamics(of(np.sign(sine)[None])).loudness.crest_db == pytest.approx(0.0, abs=0.01)


def test_peak_to_loudness_ratio_is_true_peak_less_loudness() -> None:
    # BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS, and a true peak of 0 dBTP.
    found = dynamics(of(np.sin(2 * np.pi * 997 * times(5))[None]))
    assert found.plr_db == pytest.approx(3.01, abs=0.05)


# --- comb residue ---


def music(noise: Noise, seconds: float, rate: int = RATE) -> Audio:
    """Noise that falls with frequency and comes in beats."""
    coloured = signal.lfilter([1.0], [1.0, -0.9], noise(round(seconds * rate)))
    return (coloured * np.exp(-((times(seconds, rate) % 0.4) / 0.2))).astype(np.float32)


@pytest.mark.parametrize("period", [10, 16, 20, 40])
def test_a_comb_is_found_with_its_period(noise: Noise, period: int) -> None:
    audio = music(noise, 20)
    spikes = (np.arange(audio.shape[1]) % period == 0).astype(np.float32)
    # Every line has an amplitude of 0.001: 43 dB under the music's level.
    combed = audio * (1 + 0.05 * spikes) + 5e-4 * period * spikes
    found = comb_residue(of(combed))
    assert found.period is not None
    # A comb may be named by a divisor or by a multiple whose lines it holds.
    assert period % found.period == 0 or found.period % period == 0
    assert found.level_db > 3
    assert found.origin_rate_hz == RATE


def test_a_comb_from_another_rate_keeps_its_name(noise: Noise) -> None:
    import soxr

    audio = music(noise, 20, 32_000)
    spikes = (np.arange(audio.shape[1]) % 16 == 0).astype(np.float32)
    combed = audio + 8e-3 * spikes
    found = comb_residue(of(soxr.resample(combed.T, 32_000, RATE).T))
    assert (found.origin_rate_hz, found.period) == (32_000, 16)


@pytest.mark.parametrize("level", [1.0, 0.01])
def test_music_has_no_comb_at_any_level(noise: Noise, level: float) -> None:
    audio = music(noise, 20) * np.float32(level)
    assert comb_residue(of(audio)).period is None


def test_a_chord_is_no_comb(noise: Noise) -> None:
    time = times(12)
    chord = np.sum([np.sin(2 * np.pi * 440 * k * time) / k for k in range(1, 30)], axis=0)
    assert comb_residue(of(0.1 * chord[None] + 1e-3 * noise(time.size, channels=1))).period is None


# --- shimmer ---


def partials(flicker_db: float, seconds: float = 8) -> Audio:
    """Held partials from 4.1 to 11 kHz over a noise floor, whose levels are redrawn every 12 ms."""
    rng = np.random.default_rng(0)
    time = times(seconds)
    out = 1e-4 * rng.standard_normal(time.size)
    for frequency in np.arange(4100, 11_000, 430):
        levels = 10 ** (rng.standard_normal(int(seconds / 0.012) + 2) * flicker_db / 20)
        gain = np.interp(time / 0.012, np.arange(levels.size), levels)
        out += 0.01 * gain * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6))
    return out[None].astype(np.float32)


def test_flicker_rises_with_the_flicker_that_was_put_in() -> None:
    found = [shimmer_index(of(partials(flicker_db))).flicker_db for flicker_db in (0.0, 1.0, 3.0)]
    assert found[0] is not None
    assert found[0] < 0.1
    assert found[0] < found[1] < found[2]  # type: ignore[operator]


def test_flicker_does_not_depend_on_the_level_nor_on_a_gentle_fade() -> None:
    audio = partials(1.0)
    fade = np.linspace(1.0, 0.3, audio.shape[1], dtype=np.float32)
    found = [shimmer_index(of(variant)).flicker_db for variant in (audio, audio * 0.01, audio * fade)]
    assert found == pytest.approx([found[0]] * 3, abs=0.03)


def test_birdies_are_counted(noise: Noise) -> None:
    clean = partials(0.0)
    hurt = clean.copy()
    rng = np.random.default_rng(2)
    length = 1024
    for start in rng.integers(0, clean.shape[1] - length, 400):
        burst = np.sin(2 * np.pi * rng.uniform(4000, 12_000) * np.arange(length) / RATE) * np.hanning(length)
        hurt[0, start : start + length] += (0.02 * burst).astype(np.float32)
    before, after = (shimmer_index(of(audio)).birdies_percent or 0.0 for audio in (clean, hurt))
    assert after > before + 0.3


def test_nothing_to_judge_by_gives_none(noise: Noise) -> None:
    assert shimmer_index(of(np.zeros((2, RATE)))).flicker_db is None
    assert shimmer_index(of(noise(8000), 8000)).flicker_db is None
    assert shimmer_index(of(noise(100))).flicker_db is None

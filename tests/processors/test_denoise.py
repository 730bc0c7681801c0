"""Denoise: what it gains on hiss, and that it leaves alone what is not hiss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.denoise import Denoise
from engine.processors.noise_profile import measure_noise
from engine.processors.speech_denoise import SpeechDenoise
from engine.processors.stft import istft, stft, window_length

RATE = 44_100


def si_sdr(truth: Audio, estimate: Audio) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    t, e = truth.astype(np.float64).ravel(), estimate.astype(np.float64).ravel()
    target = t * (t @ e) / (t @ t)
    return 10 * float(np.log10((target @ target) / max(float(np.sum((target - e) ** 2)), 1e-30)))


def voice(seconds: float = 8.0, pauses: bool = True) -> Audio:
    """A gliding, vibrating harmonic tone through vowel-like resonances; with pauses of a second."""
    t = np.arange(int(RATE * seconds)) / RATE
    pitch = 180 + 60 * np.sin(0.9 * t) + 4 * np.sin(2 * np.pi * 5.5 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = np.zeros(t.size)
    for k in range(1, 30):
        f = k * pitch
        formants = sum(np.exp(-(((f - c) / w) ** 2)) for c, w in ((600, 250), (1300, 300), (2800, 500)))
        tone += (formants + 0.02) * np.sin(k * phase)
    syllables = np.clip(1.5 * np.sin(2 * np.pi * 2.3 * t) + 0.6, 0.05, 1)
    sung: npt.NDArray[np.bool_] = (t % 3.0) < 2.0 if pauses else np.ones(t.size, bool)
    fade = np.convolve(sung, np.hanning(2000) / np.hanning(2000).sum(), "same")
    mono = tone * syllables * fade
    audio = np.stack((mono, 0.8 * mono))
    return (audio * (0.1 / np.sqrt(np.mean(audio**2)))).astype(np.float32)


def with_hiss(clean: Audio, snr_db: float, seed: int = 3) -> Audio:
    hiss = np.random.default_rng(seed).standard_normal(clean.shape).astype(np.float32)
    level = np.sqrt(np.mean(clean**2)) * 10 ** (-snr_db / 20)
    return clean + hiss * np.float32(level)


@pytest.mark.parametrize(("snr_db", "gain_db"), [(40, 4.0), (30, 4.0), (20, 4.0)])
def test_gains_on_a_voice_with_pauses(snr_db: float, gain_db: float) -> None:
    clean = voice()
    noisy = with_hiss(clean, snr_db)
    assert si_sdr(clean, Denoise().apply(noisy, RATE)) > snr_db + gain_db


def test_gains_without_pauses_too() -> None:
    clean = voice(pauses=False)
    assert si_sdr(clean, Denoise().apply(with_hiss(clean, 30), RATE)) > 32


def test_measures_the_noise_where_it_is() -> None:
    noisy = with_hiss(voice(), 30)
    profile = measure_noise(AudioBuffer.of(noisy, RATE))
    assert profile is not None
    assert profile.level_db == pytest.approx(-50, abs=0.5)
    for start, stop in profile.pauses:
        middle = (start + stop) / 2 / RATE
        assert middle % 3.0 > 2.0
    assert (
        Denoise().process(AudioBuffer.of(noisy, RATE), AudioBuffer.of(noisy, RATE))["measured_in"] == "pauses"
    )


def test_leaves_clean_music_alone() -> None:
    for clean in (voice(), voice(pauses=False)):
        assert np.array_equal(Denoise().apply(clean, RATE), clean)


def test_leaves_digital_silence_and_gated_noise_alone() -> None:
    clean = voice()
    hiss = with_hiss(np.zeros_like(clean) + clean, 30) - clean
    gated = clean + hiss * (np.abs(clean).max(axis=0) > 1e-3)
    result = Denoise().apply(gated, RATE)
    assert np.isfinite(result).all()
    assert si_sdr(gated, result) > 25


def test_does_not_eat_bleed_in_the_pauses(noise: Callable[..., Audio]) -> None:
    clean = voice()
    t = np.arange(clean.shape[1]) / RATE
    hits = np.exp(-12 * (t % 0.31)) * noise(clean.shape[1], seed=5, level=0.003)
    stem = (clean + hits).astype(np.float32)
    assert si_sdr(stem, Denoise().apply(stem, RATE)) > 50


def test_does_not_take_a_held_chord_for_noise() -> None:
    generator = np.random.default_rng(0)
    t = np.arange(8 * RATE) / RATE
    partials = [(f * k, generator.uniform(0, 6)) for f in (220, 277, 330, 221) for k in range(1, 12)]
    chord = sum(np.sin(2 * np.pi * f * t + p) / f for f, p in partials) * (
        1 + 0.3 * np.sin(2 * np.pi * 4 * t)
    )
    loudness = np.where(t % 4 < 2, 1.0, 0.1)
    audio = np.stack((chord, chord)) * loudness
    audio = (audio * 0.1 / np.sqrt(np.mean(audio**2))).astype(np.float32)
    assert si_sdr(audio, Denoise().apply(audio, RATE)) > 50


def test_keeps_the_stereo_image() -> None:
    clean = voice()
    result = Denoise().apply(with_hiss(clean, 30), RATE)
    balance = np.sqrt(np.mean(result[1] ** 2) / np.mean(result[0] ** 2))
    assert balance == pytest.approx(0.8, rel=0.01)


def test_never_goes_below_its_floor() -> None:
    """Pure noise after a voice is lowered, by no more than the floor and by most of it."""
    clean = voice()
    noisy = with_hiss(clean, 20)
    result = Denoise(floor_db=-12).apply(noisy, RATE)
    pause = slice(int(2.3 * RATE), int(2.8 * RATE))
    change = 10 * np.log10(np.mean(result[:, pause] ** 2) / np.mean(noisy[:, pause] ** 2))
    assert -12.1 < change < -9


def test_speech_denoise_works_with_pauses_and_refuses_without() -> None:
    clean = voice()
    noisy = with_hiss(clean, 20)
    pause = slice(int(2.3 * RATE), int(2.8 * RATE))
    result = SpeechDenoise().apply(noisy, RATE)
    assert np.mean(result[:, pause] ** 2) < 0.15 * np.mean(noisy[:, pause] ** 2)
    endless = with_hiss(voice(pauses=False), 30)
    assert np.array_equal(SpeechDenoise().apply(endless, RATE), endless)


def test_speech_denoise_treats_channels_apart() -> None:
    noisy = with_hiss(voice(), 20)
    quiet = noisy * np.array([[1.0], [0.02]], np.float32)
    result = SpeechDenoise().apply(quiet, RATE)
    assert si_sdr(quiet[1:], result[1:]) > 10


@pytest.mark.parametrize("rate", [8000, 44_100, 192_000])
def test_stft_is_inverted_inside(rate: int, noise: Callable[..., Audio]) -> None:
    length = window_length(rate)
    audio = noise(20 * length + 123)
    hop = length // 4
    back = istft(stft(audio, length, hop), length, hop, audio.shape[1])
    inside = slice(length, -length - hop)
    assert back.shape == audio.shape
    assert np.max(np.abs(back[:, inside] - audio[:, inside])) < 1e-6


@pytest.mark.parametrize(("rate", "length"), [(8000, 512), (44_100, 2048), (48_000, 2048), (192_000, 8192)])
def test_windows_scale_with_the_rate(rate: int, length: int) -> None:
    assert window_length(rate) == length

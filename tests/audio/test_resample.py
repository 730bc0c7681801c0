from __future__ import annotations

import tracemalloc
from math import gcd
from pathlib import Path

import numpy as np
import pytest
import soxr

from engine.audio import resample as module
from engine.audio.buffer import Audio, AudioBuffer
from engine.audio.resample import resample, resampled_frames
from engine.errors import Cancelled
from engine.progress import Progress

RATES = [8_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000]
PAIRS = [(a, b) for a in RATES for b in RATES if a != b]
#: Pairs as they occur: into the model's rate and back.
MODEL_PAIRS = [(a, 44_100) for a in RATES if a != 44_100]


def band_limited(frames: int, cutoff: float) -> Audio:
    """Noise up to `cutoff` times the sample rate, faded in and out over 1000 frames."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(frames))
    spectrum[int(frames * cutoff) :] = 0
    ramp = np.clip(np.minimum(np.arange(frames), np.arange(frames)[::-1]) / 1000, 0, 1)
    return (0.1 * np.fft.irfft(spectrum, frames) * ramp)[None].astype(np.float32)


def lag_frames(a: Audio, b: Audio) -> float:
    """Delay of `b` against `a`, from the slope of the cross-spectrum's phase over the band that both hold."""
    cross = np.fft.rfft(b[0]) * np.fft.rfft(a[0]).conj()
    weight = np.abs(cross)
    omega = 2 * np.pi * np.arange(len(cross)) / a.shape[1]
    keep = weight > 1e-6 * weight.max()
    return -float(
        np.sum(weight * omega * np.angle(cross), where=keep) / np.sum(weight * omega**2, where=keep)
    )


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_an_impulse_stays_at_its_time(a: int, b: int) -> None:
    unit = a // gcd(a, b)
    at = -(-max(2000, 400 * a // b) // unit) * unit
    audio = np.zeros((1, 2 * at), np.float32)
    audio[0, at] = 1
    found = resample(AudioBuffer.of(audio, a), b, None).to_array()[0].astype(np.float64)
    centre = at * b // a
    assert int(np.argmax(found)) == centre
    around = found[centre - 50 : centre + 51]
    np.testing.assert_allclose(around, around[::-1], atol=1e-7)


@pytest.mark.parametrize(("a", "b"), MODEL_PAIRS)
@pytest.mark.parametrize("frames", [20_011, 50_000])
def test_there_and_back_is_exact_in_length_and_has_no_lag(a: int, b: int, frames: int) -> None:
    # Nearer to the band edge the filter falls off by design, by 0.002 dB at four fifths of it.
    audio = band_limited(frames, 0.3 * min(1, b / a))
    there = resample(AudioBuffer.of(audio, a), b, None)
    assert there.shape == (1, resampled_frames(frames, a, b))
    back = resample(there, a, None, frames=frames).to_array()
    assert back.shape == audio.shape
    assert abs(lag_frames(audio, back)) < 0.0005
    error_db = 20 * np.log10(np.sqrt(np.mean((back - audio) ** 2)) / np.sqrt(np.mean(audio**2)))
    assert error_db < -95


@pytest.mark.parametrize(("a", "b"), [(44_100, 48_000), (96_000, 44_100), (8_000, 192_000), (44_056, 44_100)])
def test_the_stream_equals_one_pass_for_any_block_size(
    a: int, b: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30_011)).astype(np.float32)
    padded = np.concatenate([audio, np.zeros((2, 1000), np.float32)], axis=1)
    whole = soxr.resample(padded.T.copy(), a, b, quality="VHQ").T
    for size in (1 << 19, 4096, 777):
        monkeypatch.setattr(module, "BLOCK_FRAMES", size)
        found = resample(AudioBuffer.of(audio, a), b, None).to_array()
        np.testing.assert_allclose(found, whole[:, : found.shape[1]], atol=2e-7)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_lengths_are_exact_for_hours(a: int, b: int) -> None:
    for frames in (1, 2, 10**9 + 7, 24 * 3600 * a + 1, 2**40 + 1):
        there = resampled_frames(frames, a, b)
        assert (there - 1) * a < frames * b <= there * a
        back = resampled_frames(there, b, a)
        assert frames <= back <= frames + -(-a // b)


@pytest.mark.parametrize("frames", [0, 1, 2, 50])
@pytest.mark.parametrize(("a", "b"), [(44_100, 48_000), (192_000, 8_000), (8_000, 192_000)])
def test_very_short_recordings(a: int, b: int, frames: int) -> None:
    audio = np.full((2, frames), 0.5, np.float32)
    there = resample(AudioBuffer.of(audio, a), b, None)
    assert there.shape == (2, resampled_frames(frames, a, b))
    assert resample(there, a, None, frames=frames).shape == (2, frames)
    assert np.isfinite(there.to_array()).all()


def test_the_last_frame_is_a_sample_and_not_a_filled_in_zero() -> None:
    # One frame more than soxr gives by itself: 88237 frames of 44.1 kHz are 96040.27 of 48 kHz.
    constant = AudioBuffer.of(np.full((1, 88_237), 0.5), 44_100)
    found = resample(constant, 48_000, None).to_array()
    assert found.shape == (1, 96_041)
    assert found[0, -1] > 0.1


def test_a_length_of_choice_is_cut_or_filled() -> None:
    source = AudioBuffer.of(np.full((1, 1000), 0.5), 44_100)
    assert resample(source, 48_000, None, frames=500).frames == 500
    longer = resample(source, 48_000, None, frames=3000).to_array()
    assert longer.shape == (1, 3000)
    assert not longer[0, 2000:].any()


def test_equal_rates_copy_bit_by_bit(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-2, 2, (2, 5000)).astype(np.float32)
    found = resample(AudioBuffer.of(audio, 44_100), 44_100, tmp_path / "copy.f32")
    assert found.path == tmp_path / "copy.f32"
    np.testing.assert_array_equal(found.to_array(), audio)


def test_memory_does_not_grow_with_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_FRAMES", 1 << 14)
    source = AudioBuffer.create(tmp_path / "long.f32", 2, 3_000_000, 48_000)
    tracemalloc.start()
    resample(source, 44_100, tmp_path / "out.f32")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_cancel() -> None:
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        resample(AudioBuffer.memory(1, 1000, 44_100), 48_000, None, progress=progress)

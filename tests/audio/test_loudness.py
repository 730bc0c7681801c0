from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest

from engine.audio import loudness as module
from engine.audio.buffer import Audio, AudioBuffer
from engine.audio.loudness import measure_loudness


def tone(rate: int, seconds: float, level_db: float, hz: float = 997.0, channels: int = 2) -> AudioBuffer:
    samples = 10 ** (level_db / 20) * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return AudioBuffer.of(np.repeat(samples[None], channels, axis=0), rate)


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_ebu_tech_3341_stereo_sine(level: float) -> None:
    found = measure_loudness(tone(48_000, 20, level, hz=1000.0))
    assert found.lufs == pytest.approx(level, abs=0.1)
    assert found.loudness_range_lu == pytest.approx(0, abs=0.1)
    assert found.sample_peak_db == pytest.approx(level, abs=0.01)
    assert found.rms_db == pytest.approx(level - 3.01, abs=0.01)
    assert found.crest_db == pytest.approx(3.01, abs=0.01)


def test_ebu_tech_3342_loudness_range() -> None:
    parts = [tone(48_000, 20, level, hz=1000.0).to_array() for level in (-20.0, -30.0)]
    found = measure_loudness(AudioBuffer.of(np.concatenate(parts, axis=1), 48_000))
    assert found.loudness_range_lu == pytest.approx(10, abs=1)


def test_true_peak_between_the_samples() -> None:
    time = np.arange(48_000)
    fade = np.clip(time / 4800, 0, 1)
    audio = fade * np.sin(2 * np.pi * time / 4 + np.pi / 4)
    found = measure_loudness(AudioBuffer.of(np.stack([audio, audio]), 48_000))
    assert found.sample_peak_db == pytest.approx(-3.01, abs=0.01)
    assert found.true_peak_db == pytest.approx(0.0, abs=0.2)


def test_a_true_peak_at_the_very_end_is_seen() -> None:
    audio = np.zeros((1, 4800), np.float32)
    audio[0, -2:] = 0.5  # two equal samples rise above themselves half-way between
    found = measure_loudness(AudioBuffer.of(audio, 48_000))
    assert found.true_peak_db is not None
    assert found.true_peak_db > 20 * np.log10(0.5) + 1


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 88_200, 96_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_rate_and_mono(rate: int, channels: int) -> None:
    # BS.1770: a sine of 997 Hz at 0 dBFS in one channel is -3.01 LUFS; a second channel adds 3.01.
    expected = -20.0 - (3.01 if channels == 1 else 0.0)
    assert measure_loudness(tone(rate, 2, -20.0, channels=channels)).lufs == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [0, 1, 100, 100_000])
def test_silence_has_no_levels(channels: int, frames: int) -> None:
    found = measure_loudness(AudioBuffer.memory(channels, frames, 44_100))
    assert astuple(found) == (None,) * 6


@pytest.mark.parametrize("frames", [1, 2, 441, 17_000])
def test_too_short_for_loudness_still_has_peaks(noise: Callable[..., Audio], frames: int) -> None:
    found = measure_loudness(AudioBuffer.of(noise(frames), 44_100))
    assert found.lufs is None
    assert found.loudness_range_lu is None
    assert found.sample_peak_db is not None
    assert found.true_peak_db is not None
    assert found.true_peak_db >= found.sample_peak_db
    assert found.rms_db is not None


def test_it_does_not_depend_on_the_block_size(
    noise: Callable[..., Audio], monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = AudioBuffer.of(noise(200_000), 44_100)
    whole = astuple(measure_loudness(buffer))
    monkeypatch.setattr(AudioBuffer.blocks, "__defaults__", (777,))
    assert astuple(module.measure_loudness(buffer)) == pytest.approx(whole, abs=1e-9)

"""Pictures: levels and frequencies are where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.report.pictures import FLOOR_DB, STEP_DB, hz_to_mel, make_pictures, mel_rows

ROWS, TOP_HZ = 96, 22_050.0


def levels(audio: np.ndarray, rate: int = 44_100, columns: int = 40) -> np.ndarray:
    found = make_pictures(AudioBuffer.of(audio, rate), columns, ROWS, TOP_HZ)
    return FLOOR_DB + STEP_DB * found.spectrogram


@pytest.mark.parametrize("hertz", [110.0, 1000.0, 9000.0, 18_000.0])
def test_a_tone_is_at_its_frequency(sine: Callable[..., Any], hertz: float) -> None:
    found = levels(sine(hertz))[:, 10:-10].mean(axis=1)
    expected = hz_to_mel(hertz) / hz_to_mel(TOP_HZ) * ROWS
    assert abs(int(np.argmax(found)) + 0.5 - expected) <= 1.0


def test_half_the_amplitude_is_6_db_less(sine: Callable[..., Any]) -> None:
    loud, soft = (levels(sine(1000.0, level=level)).max() for level in (1.0, 0.5))
    assert loud - soft == pytest.approx(6.02, abs=STEP_DB)
    assert loud == pytest.approx(0.0, abs=8.0)  # a row is wider than a tone


def test_opposite_channels_do_not_cancel(sine: Callable[..., Any]) -> None:
    tone = sine(1000.0)
    assert np.abs(levels(np.concatenate([tone, -tone])) - levels(np.concatenate([tone, tone]))).max() < 1


def test_silence_is_the_floor() -> None:
    found = make_pictures(AudioBuffer.memory(2, 44_100, 44_100), 10, ROWS, TOP_HZ)
    assert not found.spectrogram.any()
    assert not found.peaks.any()


def test_peaks_are_the_extremes_of_their_column(noise: Callable[..., Any]) -> None:
    audio = np.clip(noise(10_007, level=0.3), -1, 1)
    found = make_pictures(AudioBuffer.of(audio, 44_100), 7, ROWS, TOP_HZ).peaks.reshape(-1, 2)
    edges = np.arange(8) * 10_007 // 7
    for column in range(7):
        part = audio[:, edges[column] : edges[column + 1]]
        assert found[column] == pytest.approx([part.min() * 127, part.max() * 127], abs=0.51)


@pytest.mark.parametrize("frames", [1, 2, 50])
def test_a_few_frames_are_enough(frames: int, noise: Callable[..., Any]) -> None:
    found = make_pictures(AudioBuffer.of(noise(frames), 44_100), min(20, frames), ROWS, TOP_HZ)
    assert found.spectrogram.shape == (ROWS, min(20, frames))


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_every_row_has_the_weight_of_one(rate: int) -> None:
    bank = mel_rows(ROWS, rate, min(TOP_HZ, rate / 2))
    assert bank.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert bank.min() >= 0

"""The true peak is that of interpolating everything, as libebur128 does it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pyebur128 import MeasurementMode, R128State, get_true_peak

from engine.audio.buffer import Audio
from engine.audio.true_peak import TruePeak


def of(audio: Audio, rate: int, block: int = 1 << 19) -> float:
    meter = TruePeak(len(audio), rate)
    for start in range(0, audio.shape[1], block):
        meter.add(audio[:, start : start + block])
    return meter.finish()


def libebur128(audio: Audio, rate: int) -> float:
    padded = np.pad(audio, ((0, 0), (0, 64)))
    state = R128State(len(audio), rate, MeasurementMode.MODE_TRUE_PEAK)
    state.add_frames(np.ascontiguousarray(padded.T).reshape(-1), padded.shape[1])
    return max(float(np.abs(audio).max()), *(get_true_peak(state, channel) for channel in range(len(audio))))


def material(name: str, channels: int, noise: Callable[..., Audio]) -> Audio:
    if name == "noise":
        return noise(20_011, channels)
    if name == "clipped":
        return noise(20_011, channels, level=1.0).clip(-0.5, 0.5)
    if name == "peak at the end":
        return np.sin(np.arange(5_000) * 1.5 + 0.3, dtype=np.float32)[None].repeat(channels, 0)
    sine = 0.2 * np.sin(2 * np.pi * 0.24 * np.arange(9_000) + 0.4, dtype=np.float32)
    sine[4_000:4_200] *= 3
    return np.stack([sine, 0.1 * sine][:channels])


@pytest.mark.parametrize("name", ["noise", "clipped", "peak at the end", "sine"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
def test_nothing_is_overlooked(rate: int, channels: int, name: str, noise: Callable[..., Audio]) -> None:
    audio = material(name, channels, noise)
    assert 20 * np.log10(of(audio, rate) / libebur128(audio, rate)) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("block", [1, 31, 32, 33, 777, 9_000])
def test_it_does_not_depend_on_block_edges(block: int, noise: Callable[..., Audio]) -> None:
    audio = noise(9_000)[:, : 300 if block == 1 else 9_000]
    assert of(audio, 44_100, block) == of(audio, 44_100)


def test_a_peak_between_samples_is_above_them() -> None:
    quarter = np.sin(np.pi / 2 * np.arange(2_000) + np.pi / 4, dtype=np.float32)[None] * np.float32(0.5)
    assert 20 * np.log10(of(quarter, 48_000) / 0.5) == pytest.approx(0.0, abs=0.15)
    assert np.abs(quarter).max() < 0.36


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_hardly_anything(frames: int) -> None:
    assert of(np.full((2, frames), 0.25, np.float32), 44_100) >= (0.25 if frames else 0.0)

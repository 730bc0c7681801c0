"""FillHoles: what a coder cut out is filled, gaps in music stay gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.stft import istft, stft
from engine.repair.fill_holes import FillHoles

RATE = 44_100
LENGTH, HOP = 2048, 512


def with_holes(audio: Audio) -> tuple[Audio, np.ndarray]:
    """`audio` with seven holes a second of 35 to 105 ms, and where they are, shape (frames, bins)."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(7)
    padded = np.pad(audio, ((0, 0), (LENGTH, 2 * LENGTH)))
    spectrum = stft(padded, LENGTH, HOP)
    kept = np.ones(spectrum.shape[1:])
    for _ in range(7 * audio.shape[1] // RATE):
        low = int(np.exp(rng.uniform(np.log(500), np.log(12_000))) * LENGTH / RATE)
        high = low + int(rng.uniform(0.25, 0.6) * low) + 8
        first = int(rng.integers(16, spectrum.shape[1] - 28))
        kept[first : first + int(rng.integers(3, 10)), low:high] = 0.01
    gain = gaussian_filter(kept, 0.7).astype(np.float32)
    damaged = istft(spectrum * gain, LENGTH, HOP, padded.shape[1])[:, LENGTH : LENGTH + audio.shape[1]]
    return damaged, kept < 0.5


def error_in_holes_db(result: Audio, truth: Audio, holes: np.ndarray) -> float:
    padding = ((0, 0), (LENGTH, 2 * LENGTH))
    x, y = (np.abs(stft(np.pad(audio, padding), LENGTH, HOP)) for audio in (truth, result))
    audible = holes & (x.mean(axis=0) > 0.02)
    return float(np.abs(20 * np.log10((y + 1e-4) / (x + 1e-4)))[:, audible].mean())


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert FillHoles().analyse(AudioBuffer.of(clean, RATE)) is None


@pytest.fixture(scope="module")
def music() -> Audio:
    """Steady noise whose colour moves slowly, and a chord."""
    rng = np.random.default_rng(1)
    t = np.arange(8 * RATE) / RATE
    noise = rng.standard_normal((2, t.size)) * (1 + 0.3 * np.sin(2 * np.pi * 0.7 * t))
    chord = sum(np.sin(2 * np.pi * hz * t) for hz in (220.0, 277.2, 329.6))
    return (0.05 * noise + 0.1 * chord).astype(np.float32)


def test_holes_come_nearer_to_the_truth_and_the_rest_stays(
    music: Audio, si_sdr_db: Callable[[Audio, Audio], float]
) -> None:
    damaged, holes = with_holes(music)
    repaired = FillHoles().apply(damaged, RATE)
    before, after = (error_in_holes_db(audio, music, holes) for audio in (damaged, repaired))
    assert after < before - 4
    assert si_sdr_db(repaired, music) > si_sdr_db(damaged, music) - 1


def test_reports_the_places(music: Audio) -> None:
    source = AudioBuffer.of(with_holes(music)[0], RATE)
    report = FillHoles().process(source, source.like())
    assert report["artifact"] == "spectral holes"
    assert report["places_total"] == report["figures"]["holes"] >= 17
    assert all(place["high_hz"] > place["low_hz"] for place in report["places"])

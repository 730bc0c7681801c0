"""Lawful effects never fail, and whatever moved or is another signal never passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.alignment.estimate import estimate_alignment
from engine.alignment.model import Alignment, BandAlignment, SegmentDelay
from engine.alignment.verdict import Judgement, Verdict, judge

RATE = 44_100


@pytest.fixture
def verdict(buffer: Any) -> Any:
    def measure(before: Any, after: Any) -> Judgement:
        return judge(estimate_alignment(buffer(before), buffer(after)))

    return measure


def plain(**values: Any) -> Alignment:
    bandwidth = {"effective_bandwidth_hz": 5000.0}
    delay = values.get("delay_samples", 0.0)
    degrees = values.get("delay_degrees", 360 * 5000 * delay / RATE)
    return Alignment(sample_rate=RATE, **{**bandwidth, **values, "delay_degrees": degrees})


def band(phase_deg: float, level_db: float = 0.0) -> BandAlignment:
    return BandAlignment(
        low_hz=20, high_hz=60, level_db=level_db, coherence=1, phase_deg=phase_deg, gain_db=0
    )


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Verdict.PASS),
        ({"delay_samples": 0.15}, Verdict.PASS),
        ({"delay_samples": -0.3}, Verdict.WARN),
        ({"delay_samples": 0.51}, Verdict.FAIL),
        ({"delay_samples": 1.4, "delay_degrees": 1.1}, Verdict.PASS),
        ({"delay_samples": 4.0, "delay_degrees": 3.9, "confidence": 0.98}, Verdict.WARN),
        ({"delay_samples": 4.0, "delay_degrees": 3.9, "confidence": 0.999}, Verdict.FAIL),
        ({"polarity": -1}, Verdict.FAIL),
        ({"confidence": 0.98}, Verdict.WARN),
        ({"confidence": 0.94}, Verdict.FAIL),
        ({"coherence": 0.96}, Verdict.WARN),
        ({"coherence": 0.89}, Verdict.FAIL),
        ({"bands": [band(15.0)]}, Verdict.PASS),
        ({"bands": [band(-30.0)]}, Verdict.WARN),
        ({"bands": [band(90.0)]}, Verdict.WARN),
        ({"bands": [band(90.0, level_db=-31.0)]}, Verdict.PASS),
        ({"silent": True, "silent_in": ["reference", "other"]}, Verdict.PASS),
        ({"silent": True, "silent_in": ["other"]}, Verdict.WARN),
    ],
)
def test_limits(values: dict[str, Any], expected: Verdict) -> None:
    judgement = judge(plain(**values))
    assert judgement.verdict is expected
    assert bool(judgement.reasons) == (expected is not Verdict.PASS or "silent" in values)


@pytest.mark.parametrize(
    ("drift", "error", "expected"), [(0.9, 0.0, "PASS"), (1.1, 0.01, "FAIL"), (4.0, 1.0, "PASS")]
)
def test_drift_fails_where_it_is_significant(drift: float, error: float, expected: str) -> None:
    segments = [SegmentDelay(time_s=t, delay_samples=0, confidence=1) for t in (1, 100, 200)]
    judgement = judge(plain(drift_ppm=drift, drift_error_ppm=error, segments=segments))
    assert judgement.verdict == expected


def test_every_reason_is_one_sentence(song: Any, scramble: Any, verdict: Any) -> None:
    judgement = verdict(song, scramble(song))
    assert judgement.reasons
    assert all(reason.endswith(".") and reason[0].isupper() for reason in judgement.reasons)


def test_equaliser_gate_width_and_noise_pass(song: Any, equalise: Any, verdict: Any) -> None:
    mid, side = song.mean(0), (song[0] - song[1]) / 2
    gate = (np.arange(song.shape[1]) % RATE < RATE * 0.7).astype(float)
    smooth = np.convolve(gate, np.hanning(3000) / np.hanning(3000).sum(), "same")
    noise = np.random.default_rng(0).standard_normal(song.shape) * song.std() * 0.1
    for other in (
        equalise(song),
        song * smooth,
        np.stack([mid + 2 * side, mid - 2 * side]),
        np.stack([mid, mid]),
        song * [[0.5], [1.0]],
        song + noise,
    ):
        assert verdict(song, other).verdict is Verdict.PASS


def test_a_compressor_does_not_fail(song: Any, bass: Any, compress: Any, verdict: Any) -> None:
    assert verdict(song, compress(song)).verdict is not Verdict.FAIL
    assert verdict(bass, compress(bass)).verdict is not Verdict.FAIL


def test_a_minimum_phase_high_pass_warns_at_most(song: Any, verdict: Any) -> None:
    from scipy.signal import butter, sosfilt

    filtered = sosfilt(butter(2, 30, "high", fs=RATE, output="sos"), song)
    assert verdict(song, filtered).verdict is not Verdict.FAIL


def test_removed_bleed_does_not_fail(song: Any, verdict: Any) -> None:
    bleed = np.roll(song[::-1], RATE, axis=1) * 0.5
    assert verdict(song + bleed, song).verdict is not Verdict.FAIL


def test_bass_is_judged_in_degrees(bass: Any, delayed: Any, verdict: Any) -> None:
    assert verdict(bass, delayed(bass, 1.0)).verdict is Verdict.PASS
    assert verdict(bass, delayed(bass, 40.0)).verdict is Verdict.FAIL


def test_a_sample_late_fails(song: Any, delayed: Any, verdict: Any) -> None:
    assert verdict(song, delayed(song, 1.0)).verdict is Verdict.FAIL
    assert verdict(song, delayed(song, -1102.0)).verdict is Verdict.FAIL


def test_made_up_phases_fail(song: Any, scramble: Any, verdict: Any) -> None:
    assert verdict(song, scramble(song)).verdict is Verdict.FAIL


def test_another_song_fails(song: Any, noise: Any, verdict: Any) -> None:
    assert verdict(song, noise(song.shape[1])).verdict is Verdict.FAIL


@pytest.mark.parametrize("level", [1.0, 0.1])
@pytest.mark.parametrize("channel", [0, 1])
def test_one_inverted_channel_fails(song: Any, verdict: Any, level: float, channel: int) -> None:
    before = song.copy()
    before[channel] *= level
    after = before.copy()
    after[channel] *= -1
    assert verdict(before, after).verdict is Verdict.FAIL


def test_one_inverted_channel_of_a_mono_song_fails(song: Any, verdict: Any) -> None:
    mono = np.stack([song[0], song[0]])
    assert verdict(mono, mono * [[1.0], [-1.0]]).verdict is Verdict.FAIL


def test_swapped_channels_fail(song: Any, verdict: Any) -> None:
    assert verdict(song, song[::-1]).verdict is Verdict.FAIL


def test_one_late_channel_fails(song: Any, delayed: Any, verdict: Any) -> None:
    assert verdict(song, np.stack([song[0], delayed(song[1], 2.0)])).verdict is Verdict.FAIL


def test_a_jump_half_way_fails(song: Any, verdict: Any) -> None:
    half = song.shape[1] // 2
    for step in (1, 30):
        jumped = np.concatenate([song[:, :half], np.roll(song, step, axis=1)[:, half:]], axis=1)
        assert verdict(song, jumped).verdict is Verdict.FAIL


def test_another_clock_fails(song_of: Any, verdict: Any) -> None:
    import soxr

    song = song_of(10.0)
    slow = soxr.resample(song.T, 1_000_000, 1_000_005, "VHQ").T
    judgement = verdict(song, slow)
    assert judgement.verdict is Verdict.FAIL
    assert any("clocks" in reason for reason in judgement.reasons)

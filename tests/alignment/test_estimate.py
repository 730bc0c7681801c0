"""Delay, polarity, gain and drift come out as they were put in, whatever else was done to the signal."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.alignment.spectra
import engine.alignment.survey
from engine.alignment.estimate import Alignment, estimate_alignment
from engine.audio.buffer import AudioBuffer
from engine.errors import AlignmentError

RATE = 44_100
DELAYS = (0.0, 0.3, 1.0, 17.25, -400.6)
#: Largest error in samples per condition.
TOLERANCES = {
    "clean": 0.001,
    "noise 20 dB": 0.02,
    "linear-phase EQ": 0.001,
    "compressor": 0.05,
    "tanh": 0.05,
    "16 bit": 0.001,
}
#: Drift in ppm, and how close the estimate has to be.
DRIFTS = {5: 0.25, 100: 2.0}
#: Length in seconds, and the largest error with noise 20 dB below the music.
EXCERPTS = {0.02: 0.3, 0.05: 0.2, 0.25: 0.1, 1.0: 0.03, 6.0: 0.02}


@pytest.fixture(scope="module")
def conditions(song: Any, equalise: Any, compress: Any) -> dict[str, Any]:
    random = np.random.default_rng(1)
    noise = random.standard_normal(song.shape) * song.std() * 0.1
    dither = random.random(song.shape) - random.random(song.shape)
    return {
        "clean": lambda x: x,
        "noise 20 dB": lambda x: x + noise,
        "linear-phase EQ": equalise,
        "compressor": compress,
        "tanh": lambda x: np.tanh(3 * x / np.abs(x).max()),
        "16 bit": lambda x: np.round(x * 32767 + dither) / 32768,
    }


@pytest.mark.parametrize("condition", TOLERANCES)
def test_delay_is_found_whatever_was_done(
    song: Any, delayed: Any, buffer: Any, conditions: dict[str, Any], condition: str
) -> None:
    for delay in DELAYS:
        late = conditions[condition](delayed(song, delay))
        found = estimate_alignment(buffer(song), buffer(late))
        assert abs(found.delay_samples - delay) <= TOLERANCES[condition], delay
        assert found.polarity == 1
        assert found.confidence >= 0.99


def test_polarity_and_gain_are_found(song: Any, delayed: Any, buffer: Any) -> None:
    found = estimate_alignment(buffer(song), buffer(-0.5 * delayed(song, 3.4)))
    assert found.polarity == -1
    assert found.gain_db == pytest.approx(-6.0206, abs=0.001)
    assert found.delay_samples == pytest.approx(3.4, abs=0.001)
    assert [view.polarity for view in found.views] == [-1] * 4


def test_identical_recordings_give_exact_values(song: Any, buffer: Any) -> None:
    for signal in (song, song[:, :882], song[:1], song[:, 5000:5001]):
        found = estimate_alignment(buffer(signal), buffer(signal))
        assert found == Alignment(sample_rate=RATE, identical=True)
        assert (found.delay_samples, found.confidence, found.coherence) == (0.0, 1.0, 1.0)


def test_a_change_of_gain_alone_is_nothing_but_gain(song: Any, buffer: Any) -> None:
    found = estimate_alignment(buffer(song), buffer(0.25 * song))
    assert abs(found.delay_samples) < 1e-6
    assert found.confidence == pytest.approx(1.0, abs=1e-6)
    assert found.coherence == pytest.approx(1.0, abs=1e-5)
    assert all(abs(band.phase_deg) < 0.01 for band in found.bands)
    assert all(band.gain_db == pytest.approx(-12.04, abs=0.01) for band in found.bands)


@pytest.mark.parametrize(
    ("levels", "silent_in"),
    [((1, 0), ["other"]), ((0, 1), ["reference"]), ((0, 0), ["reference", "other"])],
)
def test_silence_gives_neutral_values(song: Any, buffer: Any, levels: Any, silent_in: list[str]) -> None:
    found = estimate_alignment(buffer(song * levels[0]), buffer(song * levels[1]))
    assert found.silent
    assert found.silent_in == silent_in
    assert (found.delay_samples, found.polarity, found.confidence) == (0.0, 1, 1.0)


def test_empty_recordings_are_silent() -> None:
    empty = AudioBuffer.memory(2, 0, RATE)
    assert estimate_alignment(empty, empty).silent


@pytest.mark.parametrize("seconds", EXCERPTS)
def test_short_excerpts(song: Any, delayed: Any, buffer: Any, seconds: float) -> None:
    random = np.random.default_rng(5)
    start, frames = RATE, int(seconds * RATE)
    start = 0 if frames > song.shape[1] - RATE else start
    late = delayed(song, 2.3)[:, start : start + frames]
    excerpt = song[:, start : start + frames]
    noise = random.standard_normal(late.shape) * late.std() * 0.1
    found = estimate_alignment(buffer(excerpt), buffer(late + noise))
    assert found.delay_samples == pytest.approx(2.3, abs=EXCERPTS[seconds])
    assert found.polarity == 1


@pytest.mark.parametrize("frames", [1, 2, 3, 63, 64, 65, 500])
def test_the_shortest_recordings_do_not_break(buffer: Any, frames: int) -> None:
    signal = np.random.default_rng(frames).standard_normal((2, frames))
    found = estimate_alignment(buffer(signal), buffer(0.5 * signal))
    assert np.isfinite(found.delay_samples)
    assert found.drift_ppm is None


def test_a_long_recording(song_of: Any, delayed: Any, buffer: Any) -> None:
    bars = song_of(4.0)
    found = estimate_alignment(buffer(np.tile(bars, 15)), buffer(np.tile(delayed(bars, -0.7), 15)))
    assert found.delay_samples == pytest.approx(-0.7, abs=0.001)
    assert found.drift_ppm == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("ppm", DRIFTS)
def test_drift(song_of: Any, buffer: Any, ppm: int) -> None:
    import soxr

    song = song_of(10.0)
    slow = soxr.resample(song.T, 1_000_000, 1_000_000 + ppm, "VHQ").T
    found = estimate_alignment(buffer(song), buffer(slow))
    assert found.drift_ppm == pytest.approx(ppm, abs=DRIFTS[ppm])
    assert found.drift_error_ppm is not None
    assert found.drift_error_ppm < 1.0


def test_no_drift_is_told_where_there_is_none(song: Any, delayed: Any, buffer: Any) -> None:
    steady = estimate_alignment(buffer(song), buffer(delayed(song, 40.5)))
    assert steady.drift_ppm == pytest.approx(0.0, abs=0.01)
    assert len(steady.segments) == 8
    short = estimate_alignment(buffer(song[:, :RATE]), buffer(0.5 * song[:, :RATE]))
    assert short.drift_ppm is None


def test_a_side_only_recording_counts_in_full(song: Any, delayed: Any, buffer: Any) -> None:
    wide = np.stack([song[0], -song[0]])
    found = estimate_alignment(buffer(wide), buffer(delayed(wide, 12.6)))
    assert found.delay_samples == pytest.approx(12.6, abs=0.001)
    assert found.coherence == pytest.approx(1.0, abs=1e-4)


def test_mono_works(song: Any, delayed: Any, buffer: Any) -> None:
    found = estimate_alignment(buffer(song[:1]), buffer(delayed(song[:1], 0.5)))
    assert found.delay_samples == pytest.approx(0.5, abs=0.001)
    assert [view.name for view in found.views] == ["mono"]


def test_width_and_balance_cost_no_coherence(song: Any, buffer: Any) -> None:
    mid, side = song.mean(0), (song[0] - song[1]) / 2
    for other in (
        np.stack([mid + 2 * side, mid - 2 * side]),
        np.stack([mid, mid]),
        song * [[0.5], [1.0]],
    ):
        found = estimate_alignment(buffer(song), buffer(other))
        assert found.coherence > 0.999
        assert abs(found.delay_samples) < 0.001


def test_a_gate_costs_little_coherence(song: Any, buffer: Any) -> None:
    bleed = np.random.default_rng(2).standard_normal(song.shape) * song.std()
    period = np.arange(song.shape[1]) % RATE < RATE // 2
    gate = np.convolve(period, np.hanning(2000) / np.hanning(2000).sum(), "same")
    noisy = song + bleed
    assert estimate_alignment(buffer(noisy), buffer(noisy * gate)).coherence > 0.97


def test_lengths_may_differ(song: Any, delayed: Any, buffer: Any) -> None:
    late = delayed(np.pad(song, ((0, 0), (0, RATE))), 1000.0)
    found = estimate_alignment(buffer(song), buffer(late))
    assert found.delay_samples == pytest.approx(1000.0, abs=0.001)
    back = estimate_alignment(buffer(late), buffer(song))
    assert back.delay_samples == pytest.approx(-1000.0, abs=0.001)


def test_delays_up_to_max_lag_are_found(song: Any, delayed: Any, buffer: Any) -> None:
    found = estimate_alignment(buffer(song), buffer(delayed(song, 30_000.5)), max_lag=RATE)
    assert found.delay_samples == pytest.approx(30_000.5, abs=0.001)


@pytest.mark.parametrize("rate", [8_000, 22_050, 96_000])
def test_other_rates(song: Any, delayed: Any, rate: int) -> None:
    late = AudioBuffer.of(delayed(song, 1.5), rate)
    found = estimate_alignment(AudioBuffer.of(song, rate), late)
    assert found.delay_samples == pytest.approx(1.5, abs=0.001)
    assert found.delay_degrees == pytest.approx(360 * found.effective_bandwidth_hz * 1.5 / rate, rel=1e-3)


def test_different_shapes_are_refused(song: Any, buffer: Any) -> None:
    with pytest.raises(AlignmentError, match="can't be aligned"):
        estimate_alignment(buffer(song), buffer(song[:1]))
    with pytest.raises(AlignmentError, match="can't be aligned"):
        estimate_alignment(buffer(song), AudioBuffer.of(song, 48_000))


def test_the_result_fits_into_json(song: Any, delayed: Any, buffer: Any) -> None:
    found = estimate_alignment(buffer(song), buffer(delayed(song, 1.0)))
    assert Alignment.model_validate(json.loads(json.dumps(found.model_dump()))) == found


def test_block_sizes_do_not_matter(
    song: Any, delayed: Any, buffer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = buffer(delayed(song, 5.2))
    usual = estimate_alignment(buffer(song), late)
    monkeypatch.setattr(engine.alignment.spectra, "_BATCH_FRAMES", 3)
    monkeypatch.setattr(engine.alignment.survey, "BLOCK_FRAMES", 1 << 14)
    small = estimate_alignment(buffer(song), late)
    assert small.delay_samples == pytest.approx(usual.delay_samples, abs=1e-9)
    assert small.coherence == pytest.approx(usual.coherence, abs=1e-9)


def test_memory_does_not_grow_with_the_recording(noise: Callable[..., Any], tmp_path: Path) -> None:
    peaks = []
    for seconds in (40, 80):
        pair = [AudioBuffer.create(tmp_path / f"{seconds}{name}", 2, seconds * RATE, RATE) for name in "ab"]
        for start in range(0, seconds * RATE, 5 * RATE):
            block = noise(5 * RATE, seed=start)
            pair[0].write(start, block)
            pair[1].write(start, 0.5 * block)
        tracemalloc.start()
        estimate_alignment(*pair)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 64 << 20


@pytest.mark.parametrize("period", [37, 100, 441])
def test_a_held_tone_is_not_taken_for_its_own_next_period(period: int) -> None:
    """Noise decides between equal peaks of a periodic recording, so the lag nearest to 0 is meant."""
    generator = np.random.default_rng(period)
    square = np.where(np.arange(5 * RATE) // period % 2, 0.5, -0.5)
    before = np.stack([square, -square]) + 1e-4 * generator.standard_normal((2, square.size))
    after = np.tanh(before) + 1e-4 * generator.standard_normal(before.shape)
    found = estimate_alignment(AudioBuffer.of(before, RATE), AudioBuffer.of(after, RATE))
    assert found.polarity == 1
    assert abs(found.delay_samples) < 0.01
    assert all(abs(segment.delay_samples) < 0.05 for segment in found.segments)


def test_what_an_effect_made_does_not_vote_on_what_it_passed_on() -> None:
    time = np.arange(3 * RATE) / RATE
    tone = np.sin(2 * np.pi * 220.5 * time) + 1e-3 * np.sin(2 * np.pi * 661.5 * time)
    made = -1e-2 * np.sin(2 * np.pi * 661.5 * time)
    found = estimate_alignment(AudioBuffer.of(tone[None], RATE), AudioBuffer.of((tone + made)[None], RATE))
    assert abs(found.delay_samples) < 0.01
    assert found.confidence > 0.999

"""Bandwidth: a top that was cut off is continued, and what is below it stays as it was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import firwin, oaconvolve

from engine.audio.buffer import Audio, AudioBuffer
from engine.metrics.log_mel_distance import log_mel_distance_db
from engine.repair.bandwidth import Bandwidth

RATE = 44_100
Item = Callable[[str], Audio]


def low_passed(audio: Audio, hz: float) -> Audio:
    taps = firwin(511, hz, fs=RATE, window=("kaiser", 12))
    result: Audio = oaconvolve(audio, taps[None], mode="same", axes=1).astype(np.float32)
    return result


def band_db(audio: Audio, low_hz: float, high_hz: float) -> float:
    power = (np.abs(np.fft.rfft(audio)) ** 2).sum(axis=0)
    hz = np.arange(power.size) * RATE / audio.shape[1]
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-20))


def distance_db(truth: Audio, other: Audio) -> float:
    return log_mel_distance_db(AudioBuffer.of(truth, RATE), AudioBuffer.of(other, RATE))


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert Bandwidth(highest_cutoff_hz=20_000).analyse(AudioBuffer.of(clean, RATE)) is None


@pytest.mark.parametrize("cutoff_hz", [8000, 12_000, 15_500])
def test_comes_nearer_to_the_truth(item: Item, cutoff_hz: float) -> None:
    truth = item("demo")
    damaged = low_passed(truth, cutoff_hz)
    repaired = Bandwidth().apply(damaged, RATE)
    assert distance_db(truth, repaired) < 0.4 * distance_db(truth, damaged)
    top = cutoff_hz + 500, 20_000
    assert band_db(repaired, *top) == pytest.approx(band_db(truth, *top), abs=8)


def test_below_the_cutoff_nothing_changes(item: Item) -> None:
    damaged = low_passed(item("demo"), 10_000)
    added = Bandwidth().apply(damaged, RATE) - damaged
    assert band_db(added, 0, 9500) < band_db(damaged, 0, 9500) - 75
    assert band_db(added, 0, 9500) < band_db(added, 9500, 20_000) - 50


def test_a_cutoff_that_is_high_enough_is_left(item: Item) -> None:
    damaged = low_passed(item("demo"), 16_000)
    assert Bandwidth().analyse(AudioBuffer.of(damaged, RATE)) is None
    assert Bandwidth(highest_cutoff_hz=16_500).analyse(AudioBuffer.of(damaged, RATE)) is not None


def test_a_file_of_32_khz_at_its_own_rate_has_no_room_for_more(item: Item) -> None:
    narrow = item("demo")[:, : 32_000 * 4]
    assert Bandwidth().analyse(AudioBuffer.of(narrow, 32_000)) is None


def test_says_that_it_is_synthetic(item: Item) -> None:
    source = AudioBuffer.of(low_passed(item("demo"), 12_000), RATE)
    report = Bandwidth().process(source, source.like())
    assert report["synthetic"] is True
    assert report["figures"]["cutoff_hz"] == pytest.approx(12_000, abs=200)

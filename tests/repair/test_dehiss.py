"""Dehiss: hiss goes, hi-hats and everything else that is not hiss stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.dehiss import Dehiss

RATE = 44_100
Item = Callable[[str], Audio]
Measure = Callable[[Audio, Audio], float]


def hissing(audio: Audio, snr_db: float, channels_differ: bool = True) -> Audio:
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(audio.shape)
    if not channels_differ:
        noise[:] = noise[0]
    level = np.sqrt(np.mean(audio**2)) * 10 ** (-snr_db / 20)
    result: Audio = (audio + noise * level).astype(np.float32)
    return result


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert Dehiss().analyse(AudioBuffer.of(clean, RATE)) is None
    assert Dehiss().analyse(AudioBuffer.of(clean[:1], RATE)) is None


@pytest.mark.parametrize(
    ("name", "snr_db", "gain_db"), [("demo vocals", 30, 3.0), ("plucks", 30, 3.0), ("demo", 25, 1.0)]
)
def test_comes_nearer_to_the_truth(
    item: Item, si_sdr_db: Measure, name: str, snr_db: float, gain_db: float
) -> None:
    truth = item(name)
    damaged = hissing(truth, snr_db)
    assert si_sdr_db(Dehiss().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) + gain_db


def test_hiss_that_is_the_same_in_both_channels_goes_too(item: Item, si_sdr_db: Measure) -> None:
    truth = item("plucks")
    damaged = hissing(truth, 30, channels_differ=False)
    assert si_sdr_db(Dehiss().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) + 3


def test_hi_hats_lose_nothing_to_hiss_beside_them(item: Item, si_sdr_db: Measure) -> None:
    truth = item("fast hats")
    damaged = hissing(truth, 35)
    assert si_sdr_db(Dehiss().apply(damaged, RATE), truth) > si_sdr_db(damaged, truth) - 0.1


def test_reports_the_level_of_the_hiss(item: Item) -> None:
    damaged = hissing(item("plucks"), 30)
    source = AudioBuffer.of(damaged, RATE)
    report = Dehiss().process(source, source.like())
    assert report["artifact"] == "hiss"
    assert report["figures"]["below_music_db"] == pytest.approx(-30, abs=1.5)
    assert "hiss" in report["found"]

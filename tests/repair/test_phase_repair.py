"""PhaseRepair: a late or inverted channel is put back, wide music stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import Audio, AudioBuffer
from engine.job import JobSpec
from engine.models import ModelHandle
from engine.pipeline import run_job
from engine.repair.phase_repair import PhaseRepair

RATE = 44_100
Item = Callable[[str], Audio]
Measure = Callable[[Audio, Audio], float]


def delayed(channel: Audio, samples: float) -> Audio:
    """`channel` late by `samples`, exactly, by its spectrum."""
    size = 1 << (channel.size + 4096).bit_length()
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * samples)
    result: Audio = np.fft.irfft(np.fft.rfft(channel, size) * turn, size)[: channel.size].astype(np.float32)
    return result


def test_leaves_clean_recordings_alone(clean: Audio) -> None:
    assert PhaseRepair().analyse(AudioBuffer.of(clean, RATE)) is None
    assert PhaseRepair().analyse(AudioBuffer.of(clean[:1], RATE)) is None


def nearly_mono(item: Item) -> Audio:
    """A song with a little of its own width: what one late channel of a narrow recording has."""
    song = item("demo")
    middle = song.mean(axis=0, keepdims=True)
    return middle + 0.15 * (song - middle)


@pytest.mark.parametrize("samples", [0.5, 7.0, 23.37])
@pytest.mark.parametrize("late", [0, 1])
def test_a_late_channel_comes_back(item: Item, si_sdr_db: Measure, samples: float, late: int) -> None:
    truth = nearly_mono(item)
    damaged = truth.copy()
    damaged[late] = delayed(truth[late], samples)
    repaired = PhaseRepair().apply(damaged, RATE)
    inside = np.s_[:, 9000:-9000]
    assert np.array_equal(repaired[1 - late], truth[1 - late]), "the channel that was in time stays"
    assert si_sdr_db(repaired[inside], truth[inside]) > si_sdr_db(damaged[inside], truth[inside]) + 15


def test_a_job_proves_the_channel_that_stayed(item: Item, tmp_path: Path, fake_separator: Any) -> None:
    damaged = nearly_mono(item).copy()
    damaged[0] = -delayed(damaged[0], 30.5)
    soundfile.write(tmp_path / "late.wav", damaged.T, RATE, subtype="FLOAT")
    preset = tmp_path / "step.toml"
    preset.write_text('[[repair]]\neffect = "phase_repair"\n')
    spec = JobSpec(source=tmp_path / "late.wav", out_dir=tmp_path, model="fake", preset=str(preset))
    result = run_job(spec, models=lambda *_: ModelHandle.of(fake_separator))
    assert result.manifest.repaired
    assert result.report.repairs[0]["figures"]["kept_channel"] == 1
    assert result.report.alignment["repair"]["verdict"] == "PASS"


def test_an_inverted_channel_is_turned_back_exactly(item: Item) -> None:
    truth = nearly_mono(item)
    damaged = truth * np.array([[1], [-1]], np.float32)
    assert np.array_equal(PhaseRepair().apply(damaged, RATE), truth)
    source = AudioBuffer.of(damaged, RATE)
    assert "turned over" in PhaseRepair().process(source, source.like())["found"]

"""Overlap-add gives the very samples of demucs' apply_model, in bounded memory."""

from __future__ import annotations

import itertools
import random
import tracemalloc

import numpy as np
import pytest
import torch
from demucs.apply import BagOfModels, apply_model

from engine.errors import Cancelled, OptionError
from engine.separation.overlap_add import Member, overlap_add

SAMPLE_RATE = 441


class Model(torch.nn.Module):
    """A small nonlinear network with context, which also reacts to the level of what it is given."""

    sources = ("drums", "bass", "other", "vocals")
    samplerate = SAMPLE_RATE
    segment = 7.8
    audio_channels = 2

    def __init__(self, seed: int, whole_segments: bool = True) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.kernel = torch.nn.Parameter(torch.randn(8, 2, 31, generator=generator) * 0.1)
        if whole_segments:
            self.valid_length = lambda length: int(self.segment * self.samplerate)

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        estimate = torch.tanh(torch.nn.functional.conv1d(mix, self.kernel, padding=15))
        return estimate.view(mix.shape[0], 4, 2, -1) * mix.std(dim=(1, 2))[:, None, None, None]


def members(models, weights):
    def forward(model):
        @torch.inference_mode()
        def call(batch):
            return model(torch.from_numpy(batch)).numpy()

        return call

    return [
        Member(
            forward(model),
            tuple(row),
            int(model.samplerate * model.segment),
            getattr(model, "valid_length", lambda length: length),
        )
        for model, row in zip(models, weights, strict=True)
    ]


def streamed(models, weights, mix, shifts, overlap, seed=1, batch=1, workers=1, only=None):
    bag = members(models, weights)
    blocks = overlap_add(
        [member if only is None or index in only else None for index, member in enumerate(bag)],
        lambda start, stop: mix[:, start:stop],
        mix.shape[1],
        sample_rate=SAMPLE_RATE,
        overlap=overlap,
        shifts=shifts,
        seed=seed,
        progress=lambda done, total: None,
        cancel=lambda: None,
        batch=batch,
        workers=workers,
    )
    position, parts = 0, []
    for start, block in blocks:
        assert start == position
        assert block.dtype == np.float32
        position += block.shape[-1]
        parts.append(block)
    return np.concatenate(parts, axis=-1)


def applied(models, weights, mix, shifts, overlap, seed=1):
    random.seed(seed)
    model = BagOfModels(models, weights)
    return apply_model(model, torch.from_numpy(mix)[None], shifts=shifts, overlap=overlap)[0]


ONE = [[1.0] * 4]
ONE_HOT = np.eye(4).tolist()
MIXED = [[0.5, 1.0, 0.3, 0.7], [0.1, 0.0, 0.9, 0.7]]


@pytest.mark.parametrize("frames", [1, 10, 300, 3439, 3440, 5000, 12_345, 20_001])
@pytest.mark.parametrize("shifts", [0, 1, 3])
def test_equals_apply_model_bit_for_bit(noise, frames, shifts):
    mix = noise(frames, seed=frames, level=1.0)
    for overlap, weights in itertools.product([0.1, 0.25, 0.75], [ONE, ONE_HOT, MIXED]):
        models = [Model(seed).eval() for seed in range(len(weights))]
        ours = streamed(models, weights, mix, shifts, overlap)
        assert torch.equal(torch.from_numpy(ours), applied(models, weights, mix, shifts, overlap))


@pytest.mark.parametrize("frames", [300, 5000, 12_345])
def test_equals_apply_model_for_models_that_take_any_length(noise, frames):
    models = [Model(0, whole_segments=False).eval()]
    mix = noise(frames, level=1.0)
    for shifts in (0, 2):
        ours = streamed(models, ONE, mix, shifts, 0.25)
        assert torch.equal(torch.from_numpy(ours), applied(models, ONE, mix, shifts, 0.25))


@pytest.mark.parametrize("whole_segments", [True, False])
def test_batches_change_nothing_but_rounding(noise, whole_segments):
    models = [Model(0, whole_segments).eval()]
    mix = noise(30_000, level=1.0)
    one, four = (streamed(models, ONE, mix, 1, 0.25, batch=batch) for batch in (1, 4))
    np.testing.assert_allclose(one, four, atol=1e-6)


@pytest.mark.parametrize("workers", [2, 5])
@pytest.mark.parametrize("frames", [1, 3440, 12_345])
def test_segments_computed_at_once_give_the_same_bits(noise, workers, frames):
    mix = noise(frames, level=1.0)
    for shifts, weights in itertools.product([0, 2], [ONE, ONE_HOT]):
        models = [Model(seed).eval() for seed in range(len(weights))]
        one, many = (streamed(models, weights, mix, shifts, 0.25, workers=count) for count in (1, workers))
        np.testing.assert_array_equal(one, many)


def test_members_left_out_change_nothing_for_the_others(noise):
    mix = noise(12_345, level=1.0)
    models = [Model(seed).eval() for seed in range(4)]
    whole = streamed(models, ONE_HOT, mix, 2, 0.25)
    rows = [[1.0] * 4 for _ in range(4)]
    for index in range(4):
        alone = streamed(models, rows, mix, 2, 0.25, only=[index])
        np.testing.assert_array_equal(alone[index], whole[index])


def test_a_failure_in_a_worker_comes_out_and_ends_the_work(noise):
    calls = []

    def forward(batch):
        calls.append(None)
        if len(calls) > 4:
            raise OptionError("broken", "mend it")
        return batch[:, None]

    member = Member(forward, (1.0,), 1000, lambda length: 1000)
    mix = noise(100_000)
    read = lambda start, stop: mix[:, start:stop]  # noqa: E731
    with pytest.raises(OptionError, match="broken"):
        list(
            overlap_add(
                [member],
                read,
                100_000,
                sample_rate=SAMPLE_RATE,
                overlap=0.25,
                shifts=0,
                seed=0,
                progress=lambda done, total: None,
                cancel=lambda: None,
                workers=2,
            )
        )
    assert len(calls) < 12


def test_the_seed_decides(noise):
    models = [Model(0).eval()]
    mix = noise(9000, level=1.0)
    first, again, other = (streamed(models, ONE, mix, 1, 0.25, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def identity(weights=(1.0,), segment_frames=1000):
    return Member(lambda batch: batch[:, None], weights, segment_frames, lambda length: segment_frames)


def run(read, frames, progress=lambda done, total: None, cancel=lambda: None, shifts=1, overlap=0.25):
    return overlap_add(
        [identity(), identity()],
        read,
        frames,
        sample_rate=SAMPLE_RATE,
        overlap=overlap,
        shifts=shifts,
        seed=0,
        progress=progress,
        cancel=cancel,
    )


@pytest.mark.parametrize("shifts", [0, 1, 2])
def test_progress_rises_by_one_to_a_total_known_from_the_start(noise, shifts):
    mix = noise(10_321)
    seen = []
    list(run(lambda a, b: mix[:, a:b], 10_321, lambda *step: seen.append(step), shifts=shifts))
    total = seen[0][1]
    assert total > 0
    assert seen == [(done, total) for done in range(total + 1)]


def test_cancel_stops_before_the_next_segment(noise):
    mix = noise(10_000)
    calls, done = [], []

    def cancel():
        calls.append(None)
        if len(calls) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(run(lambda a, b: mix[:, a:b], 10_000, lambda *step: done.append(step[0]), cancel))
    assert done[-1] == 3


def test_reads_only_inside_the_recording(noise):
    mix = noise(5000)

    def read(start, stop):
        assert 0 <= start < stop <= 5000
        return mix[:, start:stop]

    out = np.concatenate([block for _, block in run(read, 5000)], axis=-1)
    np.testing.assert_allclose(out[0], mix, atol=1e-6)


def test_nothing_in_nothing_out():
    assert list(run(lambda a, b: np.zeros((2, b - a), np.float32), 0)) == []


def test_an_overlap_that_leaves_no_stride_is_refused():
    with pytest.raises(OptionError, match="overlap"):
        list(run(lambda a, b: np.zeros((2, b - a), np.float32), 10_000, overlap=0.9999))


def test_memory_does_not_grow_with_the_recording():
    def peak(frames):
        read = lambda start, stop: np.zeros((2, stop - start), np.float32)  # noqa: E731
        tracemalloc.start()
        for _ in run(read, frames):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(5000)
    assert peak(800_000) < 1.5 * peak(100_000)

"""Overlap-add on the device: `overlap_add` for models whose estimates lie in a GPU's memory.

Same rules, and on a CPU the same samples to the bit; see there. Here the estimates are weighed, added up and
blended where they were computed, so that only what is finished comes back, once: (1 - overlap) of what the
models gave, divided by passes. A GPU computes beside the program that feeds it. So what follows is ordered
before what is finished is handed on: the GPU goes on with the next batch while its reader is busy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from engine.audio.buffer import Audio
from engine.separation.device_link import DeviceLink
from engine.separation.passes import Member, Read, Run

if TYPE_CHECKING:
    import torch

#: Takes (batch, channels, n) and returns (batch, sources, channels, n) in 32 bits on the device.
Forward = Callable[[Audio], "torch.Tensor"]


class DeviceRun(Run):
    """A pass whose sums are formed on the device. `accept` and `take` are given tensors there."""

    def __init__(
        self, member: Member, forward: Forward, frames: int, lead: int, overlap: float, link: DeviceLink
    ) -> None:
        super().__init__(member, frames, lead, overlap)
        self._forward = forward
        self._triangle = link.upload(self._window.copy())
        self._triangles = link.upload(self._weight.copy())
        self._device_sum: torch.Tensor | None = None
        self._finished_parts: list[torch.Tensor] = []

    def estimates(self, contexts: Sequence[Audio]) -> list[torch.Tensor]:
        """The model's estimates, one per segment."""
        return [estimate for context in contexts for estimate in self._forward(context)]

    def add(self, starts: Sequence[int], estimates: Sequence[torch.Tensor]) -> None:
        """Add the estimates of the segments at `starts`, which follow those added before."""
        for start, estimate in zip(starts, estimates, strict=True):
            self._add(start, estimate)

    def take_finished(self, count: int) -> torch.Tensor:
        """Remove and return the next `count` finished frames, shape (sources, channels, count)."""
        import torch

        parts = self._finished_parts
        ready = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        self._finished_parts = [ready[..., count:]]
        self.ready_frames -= count
        return ready[..., :count]

    def _add(self, start: int, estimate: torch.Tensor) -> None:
        import torch

        estimate = estimate.to(self._triangle.device)  # a segment may have been computed elsewhere
        count = self._chunk(start)
        margin = (estimate.shape[-1] - count) // 2
        if self._device_sum is None:
            shape = (*estimate.shape[:-1], self._member.segment_frames)
            self._device_sum = torch.zeros(shape, device=estimate.device)
        held = self._device_sum
        held[..., :count] += self._triangle[:count] * estimate[..., margin : margin + count]
        self._triangles[:count] += self._triangle[:count]

        lead, done = self._finished(start)
        finished = held[..., lead:done] / self._triangles[lead:done]
        self._device_sum = torch.nn.functional.pad(held[..., done:], (0, done))
        self._triangles = torch.nn.functional.pad(self._triangles[done:], (0, done))
        if finished.shape[-1]:
            self._finished_parts.append(finished)
            self.ready_frames += finished.shape[-1]


def device_overlap_add(
    members: Sequence[tuple[Member, Forward] | None],
    read: Read,
    frames: int,
    *,
    link: DeviceLink,
    sample_rate: int,
    overlap: float,
    shifts: int,
    seed: int,
    progress: Callable[[int, int], None],
    cancel: Callable[[], None],
    batch: int,
) -> Iterator[tuple[int, Audio]]:
    """As `overlap_add`, with each member's way to compute on the device beside it.

    Memory is `batch` segments on the device and two blocks of as many in the computer's, for each pass.
    Blocks are no longer than a segment.
    """
    longest_shift = int(0.5 * sample_rate)
    random = Random(seed)
    passes: list[tuple[Member, list[DeviceRun]]] = []
    for entry in members:
        leads = [longest_shift - random.randint(0, longest_shift) for _ in range(shifts)] or [0]
        if entry is not None:
            member, forward = entry
            runs = [DeviceRun(member, forward, frames, lead, overlap, link) for lead in leads]
            passes.append((member, runs))
    runs = list(itertools.chain.from_iterable(shifted for _, shifted in passes))
    longest = max(member.segment_frames for member, _ in passes)
    total = sum(run.segments for run in runs)
    progress(0, total)

    def rounds() -> Iterator[tuple[int, Callable[[], Audio]]]:
        """What each round of batches finishes: the segments done so far, and how to wait for the block."""
        blend = _Blend(passes, link)
        batches = [run.batches(batch) for run in runs]
        done, start = 0, 0
        while start < frames:
            for run, rest in zip(runs, batches, strict=True):
                while not run.ready_frames:
                    cancel()
                    starts, _ = next(rest)
                    run.add(starts, run.estimates(run.contexts(read, starts)))
                    done += len(starts)
            count = min(run.ready_frames for run in runs)
            yield done, link.download(blend.of(count))
            start += count

    start = 0
    for done, arrived in _ahead(rounds()):
        block = arrived()
        progress(done, total)
        for first in range(0, block.shape[-1], longest):
            part = block[..., first : first + longest]
            yield start, part
            start += part.shape[-1]


class _Blend:
    """Averages the passes of each member, and blends the members; the order of operations is upstream's."""

    def __init__(self, passes: Sequence[tuple[Member, Sequence[DeviceRun]]], link: DeviceLink) -> None:
        self._passes = passes
        totals = [sum(weights) for weights in zip(*(member.weights for member, _ in passes), strict=True)]
        # As tensors: by a plain number a GPU divides by multiplying with its reciprocal.
        self._totals = link.upload(_per_source(totals))
        self._weights = [link.upload(_per_source(member.weights)) for member, _ in passes]
        self._counts = [link.upload(np.array([len(runs)], np.float32)) for _, runs in passes]

    def of(self, count: int) -> torch.Tensor:
        """The next `count` frames, shape (sources, channels, count)."""
        import torch

        blend: torch.Tensor | None = None
        for (_, runs), weights, passes in zip(self._passes, self._weights, self._counts, strict=True):
            mean = runs[0].take_finished(count)
            for run in runs[1:]:
                mean = mean + run.take_finished(count)
            share = mean / passes * weights
            blend = share if blend is None else blend + share
        assert blend is not None
        return torch.div(blend, self._totals)


def _ahead(
    rounds: Iterator[tuple[int, Callable[[], Audio]]],
) -> Iterator[tuple[int, Callable[[], Audio]]]:
    """Each round, once the one after it has been ordered."""
    held = next(rounds, None)
    for following in rounds:
        if held is not None:
            yield held
        held = following
    if held is not None:
        yield held


def _per_source(values: Sequence[float]) -> Audio:
    return np.array(values, np.float32)[:, None, None]

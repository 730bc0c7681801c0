"""Overlap-add: models that see one segment at a time, run over a recording of any length in bounded memory.

The rules are those of `demucs.apply.apply_model` (demucs 4), and so are the samples, bit for bit:

- Segments begin every `int((1 - overlap) * segment)` frames and are cross-faded with triangles, normalised
  by the sum of the triangles.
- The last segment is shorter. The model still sees a whole one: the chunk lies in the middle of its context,
  with real audio before it and silence after it, and its middle is kept.
- With shifts, each pass begins up to half a second before the recording, at random; passes are averaged.
- Every member of a bag makes its own passes; members are blended with one weight per source.

`apply_model` holds the recording and every pass in memory at once. Here each pass keeps one segment, and all
passes move through the recording together. Segments depend on nothing but the recording, so several may be
computed at once; they are added up in one order all the same, and the samples stay the same.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random

import numpy as np

from engine.audio.buffer import Audio
from engine.separation.passes import Member, Read, Run

__all__ = ["Member", "overlap_add"]


def overlap_add(
    members: Sequence[Member | None],
    read: Read,
    frames: int,
    *,
    sample_rate: int,
    overlap: float,
    shifts: int,
    seed: int,
    progress: Callable[[int, int], None],
    cancel: Callable[[], None],
    batch: int = 1,
    workers: int = 1,
) -> Iterator[tuple[int, Audio]]:
    """Yield `(start, block)` in order, blocks of shape (sources, channels, n) that cover the recording once.

    Args:
        members: the models of a bag, or a single one; None for one that is left out, which changes nothing
            for the others.
        read: gives the recording; see `Read`.
        frames: length of the recording.
        sample_rate: in Hz; the random shifts are at most half a second.
        overlap: share of a segment that overlaps the next, in [0, 1).
        shifts: random shifts to average over; 0 for one pass without a shift.
        seed: the shifts are those that `apply_model` draws after `random.seed(seed)`.
        progress: called with (segments done, segments in all), first with none done.
        cancel: called before each batch; it raises to stop.
        batch: segments per call of a model. More than 1 pays on a GPU and is slower on a CPU.
        workers: calls of a model that run at once, each in a thread of its own; 1 for the caller's thread.

    Memory is a few segments per pass and worker, and there are `len(members) * max(shifts, 1)` passes.
    """
    longest_shift = int(0.5 * sample_rate)
    random = Random(seed)
    passes: list[tuple[Member, list[Run]]] = []
    for member in members:
        leads = [longest_shift - random.randint(0, longest_shift) for _ in range(shifts)] or [0]
        if member is not None:
            passes.append((member, [Run(member, frames, lead, overlap) for lead in leads]))
    runs = list(itertools.chain.from_iterable(shifted for _, shifted in passes))
    totals = [sum(weights) for weights in zip(*(member.weights for member, _ in passes), strict=True)]

    done, total = 0, sum(run.segments for run in runs)
    progress(done, total)
    start = 0
    with contextlib.closing(_accepted(_order(runs, frames, batch), read, workers)) as accepted:
        while start < frames:
            for run in runs:
                while not run.ready_frames:
                    cancel()
                    done += next(accepted)
                    progress(done, total)
            count = min(run.ready_frames for run in runs)
            blend = np.float32(0)
            for member, shifted in passes:
                # The order of these operations is upstream's; another one differs in the last bit.
                mean = shifted[0].take(count).copy()
                for run in shifted[1:]:
                    mean += run.take(count)
                mean /= np.float32(len(shifted))
                mean *= _per_source(member.weights)
                blend = blend + mean
            blend /= _per_source(totals)
            yield start, blend
            start += count


def _order(runs: Sequence[Run], frames: int, batch: int) -> Iterator[tuple[Run, Sequence[int]]]:
    """Every run's segments in the order in which `overlap_add` needs them, known before any is computed."""
    rest = [run.batches(batch) for run in runs]
    ready = [0] * len(runs)
    while frames > 0:
        for index, run in enumerate(runs):
            while not ready[index]:
                starts, finished = next(rest[index])
                ready[index] += finished
                yield run, starts
        count = min(ready)
        ready = [have - count for have in ready]
        frames -= count


def _accepted(
    order: Iterator[tuple[Run, Sequence[int]]], read: Read, workers: int
) -> Generator[int, None, None]:
    """Compute segments in `order` and hand each batch to its run; yields how many segments those were."""
    if workers == 1:
        for run, starts in order:
            run.accept(starts, run.compute(run.contexts(read, starts)))
            yield len(starts)
        return
    waiting: deque[tuple[Run, Sequence[int], Future[list[Audio]]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="separate")
    try:
        for run, starts in order:
            waiting.append((run, starts, pool.submit(run.compute, run.contexts(read, starts))))
            # As many again stand ready, so that no worker waits for what happens to a finished segment.
            if len(waiting) == 2 * workers:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _first(waiting: deque[tuple[Run, Sequence[int], Future[list[Audio]]]]) -> int:
    run, starts, future = waiting.popleft()
    run.accept(starts, future.result())
    return len(starts)


def _per_source(values: Sequence[float]) -> Audio:
    return np.array(values, np.float32)[:, None, None]

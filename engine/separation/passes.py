"""Run: one pass of one model over a recording, a segment at a time, by the rules that `overlap_add` tells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.audio.buffer import Audio
from engine.errors import OptionError

#: Reads frames `[start, stop)` of the recording, shape (channels, stop - start); never called outside of it.
Read = Callable[[int, int], Audio]


@dataclass(frozen=True)
class Member:
    """One model of a bag: how to call it, how long its segments are, and how much it counts.

    Attributes:
        forward: takes (batch, channels, n) and returns (batch, sources, channels, n) in float32.
        weights: one per source; relative to those of the other members.
        segment_frames: frames from the beginning of a segment to its end.
        valid_length: the frames of context that the model is given for a chunk of so many frames.
    """

    forward: Callable[[Audio], Audio]
    weights: tuple[float, ...]
    segment_frames: int
    valid_length: Callable[[int], int]

    def window(self) -> Audio:
        """The triangle that weighs a segment, shape (segment_frames,), 1 at its peak and never 0."""
        half = self.segment_frames // 2
        rising = np.arange(1, half + 1, dtype=np.float32)
        falling = np.arange(self.segment_frames - half, 0, -1, dtype=np.float32)
        window: Audio = np.concatenate([rising, falling])
        window /= window.max()
        return window


class Run:
    """One pass of one member over the recording, begun `lead` frames before the recording does.

    It holds the segment that is being added up and what is finished but not yet taken.
    """

    def __init__(self, member: Member, frames: int, lead: int, overlap: float) -> None:
        self._member = member
        self._frames = frames
        self._stride = int((1 - overlap) * member.segment_frames)
        if self._stride < 1:
            raise OptionError(
                f"An overlap of {overlap} leaves nothing of a segment of {member.segment_frames} frames.",
                "Choose a smaller overlap or a longer segment.",
            )
        self._starts = range(-lead, frames, self._stride)
        self._window = member.window()
        self._sum: Audio | None = None
        self._weight = np.zeros(member.segment_frames, np.float32)
        self._ready: list[Audio] = []
        #: Frames that are finished and not yet taken.
        self.ready_frames = 0

    @property
    def segments(self) -> int:
        """How many segments the whole pass takes."""
        return len(self._starts)

    def batches(self, batch: int) -> Iterator[tuple[Sequence[int], int]]:
        """All segments in turn, at most `batch` at a time: their starts, and the frames they finish."""
        for first in range(0, len(self._starts), batch):
            starts = self._starts[first : first + batch]
            yield starts, sum(done - lead for lead, done in map(self._finished, starts))

    def contexts(self, read: Read, starts: Sequence[int]) -> list[Audio]:
        """What the model is given for the segments at `starts`: one array per length of context."""
        return [
            np.stack([self._context(read, start, length) for start in group])
            for length, group in itertools.groupby(
                starts, lambda start: self._member.valid_length(self._chunk(start))
            )
        ]

    def compute(self, contexts: list[Audio]) -> list[Audio]:
        """The model's estimates, one per segment. It changes nothing here, so any thread may call it."""
        return [estimate for context in contexts for estimate in self._member.forward(context)]

    def accept(self, starts: Sequence[int], estimates: list[Audio]) -> None:
        """Add the estimates of the segments at `starts`, which follow those accepted before."""
        for start, estimate in zip(starts, estimates, strict=True):
            self._accumulate(start, estimate)

    def take(self, count: int) -> Audio:
        """Remove and return the next `count` finished frames, shape (sources, channels, count)."""
        ready = self._ready[0] if len(self._ready) == 1 else np.concatenate(self._ready, axis=-1)
        self._ready = [ready[..., count:]]
        self.ready_frames -= count
        return ready[..., :count]

    def _chunk(self, start: int) -> int:
        return min(self._member.segment_frames, self._frames - start)

    def _finished(self, start: int) -> tuple[int, int]:
        """The frames `[lead, done)` of the segment at `start` to which no later segment adds."""
        done = self._chunk(start) if start + self._stride >= self._frames else self._stride
        return min(max(-start, 0), done), done

    def _context(self, read: Read, start: int, length: int) -> Audio:
        """`length` frames around the chunk that begins at `start`; silence beyond the recording."""
        first = start - (length - self._chunk(start)) // 2
        low, high = max(first, 0), min(first + length, self._frames)
        inside = read(low, high)
        context = np.zeros((inside.shape[0], length), np.float32)
        context[:, low - first : high - first] = inside
        return context

    def _accumulate(self, start: int, estimate: Audio) -> None:
        count = self._chunk(start)
        margin = (estimate.shape[-1] - count) // 2
        if self._sum is None:
            self._sum = np.zeros((*estimate.shape[:-1], self._member.segment_frames), np.float32)
        self._sum[..., :count] += self._window[:count] * estimate[..., margin : margin + count]
        self._weight[:count] += self._window[:count]

        lead, done = self._finished(start)
        finished = self._sum[..., lead:done] / self._weight[lead:done]
        for held in (self._sum, self._weight):
            held[..., :-done] = held[..., done:]
            held[..., -done:] = 0
        if finished.shape[-1]:
            self._ready.append(finished)
            self.ready_frames += finished.shape[-1]

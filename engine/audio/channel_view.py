"""ChannelView: one channel of a recording as a recording of its own, without a copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer


class ChannelView(AudioBuffer):
    """Channel `index` of `source`, for reading only."""

    def __init__(self, source: AudioBuffer, index: int) -> None:
        super().__init__(1, source.frames, source.sample_rate, np.zeros((1, 0), np.float32))
        self._source, self._index = source, index

    @property
    def path(self) -> Path | None:
        """None: its samples have no file of their own."""
        return None

    def read(self, start: int, stop: int) -> Audio:
        """A copy of the frames `[start, stop)`, shape (1, stop - start); zeros outside the recording."""
        part: Audio = self._source.read(start, stop)[self._index : self._index + 1]
        return part

"""Compiled: a converted network that OpenVINO computes on the CPU, several segments at once."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio.buffer import Audio
from engine.separation.spectral import Spectral

#: What one network of htdemucs' size takes for each segment that is computed at once.
BYTES_PER_STREAM = 800_000_000


class Compiled:
    """A converted network ready to run, `streams` segments at a time on `threads` cores together."""

    def __init__(
        self, core: Any, model: Path, around: Spectral, precision: str, streams: int, threads: int
    ) -> None:
        config = {
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
            # Each member of a bag would pin its first stream to the same core.
            "ENABLE_CPU_PINNING": False,
        }
        compiled = core.compile_model(core.read_model(model), "CPU", config)
        self._around = around
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def estimate(self, segment: Audio) -> Audio:
        """(channels, n) with n up to the trained length -> (sources, channels, n). Any thread may call it."""
        frames = segment.shape[-1]
        padded = np.pad(segment, ((0, 0), (0, self._around.frames - frames)))
        spectrogram = self._around.analyse(padded)
        request = self._requests.get()
        try:
            request.infer([padded[None], spectrogram[None]], share_inputs=True)
            parts, waveform = (request.get_output_tensor(index).data[0].copy() for index in range(2))
        finally:
            self._requests.put(request)
        estimate: Audio = self._around.synthesise(parts)
        estimate += waveform
        return estimate[..., :frames]


def streams_that_fit(networks: int) -> int:
    """By the memory there is, not the memory that is free: the same on every run, and so are the samples."""
    import psutil

    return int(psutil.virtual_memory().total) // 2 // (networks * BYTES_PER_STREAM)

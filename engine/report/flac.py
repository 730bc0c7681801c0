"""FLAC chunks: bit-exact at 24 bits, for the page's full quality."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import soundfile

from engine.audio.buffer import AudioBuffer
from engine.report.chunks import chunk, chunk_count


def flac_chunks(buffer: AudioBuffer) -> Iterator[bytes]:
    """Each chunk as a FLAC file of 24 bits; samples beyond full scale are clipped."""
    for index in range(chunk_count(buffer)):
        file = io.BytesIO()
        samples = np.clip(chunk(buffer, index), -1.0, 1.0)
        soundfile.write(file, samples.T, buffer.sample_rate, format="FLAC", subtype="PCM_24")
        yield file.getvalue()

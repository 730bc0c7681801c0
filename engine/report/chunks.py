"""Chunks: audio in pieces that a browser decodes one by one, so that a long song needs little memory.

Every chunk is a file of its own and covers `CHUNK_S` seconds with `MARGIN_S` more on either side, silence
beyond the recording's ends. The margin takes up what a lossy codec does at the edges of a file; the page cuts
it off at a whole frame, so neighbouring chunks join without a gap and all versions lie on one grid.
"""

from __future__ import annotations

from engine.audio.buffer import Audio, AudioBuffer

CHUNK_S = 5
MARGIN_S = 0.2
#: Rates that every browser's audio context takes and at which a margin is a whole number of frames.
_MIN_RATE, _MAX_RATE, _RATE_STEP = 8_000, 96_000, 5
_OTHER_RATE = 48_000


def page_rate(sample_rate: int) -> int:
    """The rate of the page's clock for a recording: its own, wherever a browser can run at it."""
    fits = _MIN_RATE <= sample_rate <= _MAX_RATE and sample_rate % _RATE_STEP == 0
    return sample_rate if fits else _OTHER_RATE


def chunk_count(buffer: AudioBuffer) -> int:
    """How many chunks cover the recording."""
    return -(-buffer.frames // (CHUNK_S * buffer.sample_rate))


def chunk(buffer: AudioBuffer, index: int) -> Audio:
    """The samples of one chunk with its margins, shape (channels, frames); its rate is a page rate."""
    rate = buffer.sample_rate
    margin = round(MARGIN_S * rate)
    start = index * CHUNK_S * rate
    return buffer.read(start - margin, start + CHUNK_S * rate + margin)

"""Opus chunks: small files in Ogg, which Chrome, Firefox and Safari from 18.4 on decode.

ffmpeg's libopus takes less than half the time of the one in libsndfile, which serves where there is no
ffmpeg. Opus knows no rate above 48 kHz; everything is brought to it.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import soundfile

from engine.audio.buffer import AudioBuffer
from engine.report.chunks import CHUNK_S, MARGIN_S, chunk, chunk_count

OPUS_RATE = 48_000
#: Below 10 it is quicker; at these bit rates the difference is not heard.
_COMPLEXITY = 5
_WINDOW_S = CHUNK_S + 2 * MARGIN_S


def opus_chunks(buffer: AudioBuffer, kilobits: int, work: Path) -> Iterator[bytes]:
    """Each chunk as an Ogg Opus file of about `kilobits` kbit/s; `work` is a folder for what lies between."""
    if shutil.which("ffmpeg"):
        with tempfile.TemporaryDirectory(prefix="opus-", dir=work) as folder:
            files = _segments(buffer, kilobits, Path(folder))
            if files is not None:
                for file in files:
                    yield file.read_bytes()
                return
    yield from _one_by_one(buffer, kilobits)


def _window(buffer: AudioBuffer, index: int) -> npt.NDArray[np.float32]:
    """A chunk at 48 kHz, shape (frames, channels)."""
    import soxr

    samples = np.ascontiguousarray(np.clip(chunk(buffer, index), -1.0, 1.0).T)
    if buffer.sample_rate == OPUS_RATE:
        return samples
    frames = round(_WINDOW_S * OPUS_RATE)
    resampled = soxr.resample(samples, buffer.sample_rate, OPUS_RATE)[:frames]
    return np.pad(resampled, ((0, frames - len(resampled)), (0, 0))).astype(np.float32, copy=False)


def _segments(buffer: AudioBuffer, kilobits: int, folder: Path) -> list[Path] | None:
    """All chunks by one ffmpeg; None if it can't (such as one that was built without libopus).

    The windows go in one after the other and the encoder's stream is cut between two packets of 20 ms. What
    a packet carries over from the window before is gone long before the margin ends, and the delay of the
    encoder is the same for every piece and written in its header.
    """
    count = chunk_count(buffer)
    # Half a packet early: the time stamps begin with the encoder's delay, at -6.5 ms.
    cuts = ",".join(f"{index * _WINDOW_S - 0.01:.3f}" for index in range(1, count + 1))
    command = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(OPUS_RATE), "-ac", str(buffer.channels)]
    command += ["-i", "pipe:0", "-c:a", "libopus", "-b:a", f"{kilobits}k"]
    command += ["-compression_level", str(_COMPLEXITY), "-threads", "1", "-f", "segment"]
    command += ["-segment_times", cuts, "-segment_format", "ogg", "-reset_timestamps", "1", "%06d.ogg"]
    try:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    assert process.stdin is not None
    feeder = threading.Thread(target=_feed, args=(buffer, process.stdin), daemon=True)
    feeder.start()
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        feeder.join()
    files = [folder / f"{index:06d}.ogg" for index in range(count)]
    return files if status == 0 and all(file.is_file() for file in files) else None


def _feed(buffer: AudioBuffer, pipe: IO[bytes]) -> None:
    """Write all windows, and a second of silence that carries the last one through the encoder."""
    try:
        with pipe:
            for index in range(chunk_count(buffer)):
                pipe.write(_window(buffer, index).astype("<f4", copy=False).tobytes())
            pipe.write(np.zeros((OPUS_RATE, buffer.channels), "<f4").tobytes())
    except OSError:
        pass  # ffmpeg ended early; its exit status tells


def _one_by_one(buffer: AudioBuffer, kilobits: int) -> Iterator[bytes]:
    """Each chunk by libsndfile, whose compression level 0 to 1 is 256 to 6 kbit/s per channel."""
    level = 1.0 - (kilobits / buffer.channels - 6.0) / 250.0
    for index in range(chunk_count(buffer)):
        file = io.BytesIO()
        soundfile.write(
            file,
            _window(buffer, index),
            OPUS_RATE,
            format="OGG",
            subtype="OPUS",
            compression_level=min(max(level, 0.0), 0.99),
        )
        yield file.getvalue()

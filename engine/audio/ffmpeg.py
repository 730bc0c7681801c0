"""Decoding with the ffmpeg programs, for formats that libsndfile does not read (M4A, AAC, WMA, video)."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.audio.buffer import Audio

_BLOCK_FRAMES = 1 << 15
#: Below this, ffprobe guessed the format from weak signs.
_TRUSTED_SCORE = 50
_PROBE_TIMEOUT_S = 60
# A playlist or a crafted container may name other files or addresses; only the file itself is ever opened.
_QUIET_AND_LOCAL = ["-v", "error", "-protocol_whitelist", "file,pipe"]


@dataclass(frozen=True)
class AudioStream:
    """The first audio stream of a file."""

    sample_rate: int
    channels: int
    codec: str
    container: str


def available() -> bool:
    """True if ffmpeg and ffprobe are on the PATH."""
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def first_audio_stream(path: Path) -> AudioStream | None:
    """What ffprobe says about the file, or None if it finds no audio in it."""
    command = ["ffprobe", *_QUIET_AND_LOCAL, "-select_streams", "a:0", "-of", "json", "-show_entries"]
    command += ["stream=codec_name,sample_rate,channels:format=format_name,probe_score", _url(path)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=True
        )
        found = json.loads(done.stdout)
        stream, container = found["streams"][0], found["format"]
        if container["probe_score"] < _TRUSTED_SCORE:
            return None
        name = container["format_name"].split(",")[0].upper()
        return AudioStream(int(stream["sample_rate"]), int(stream["channels"]), stream["codec_name"], name)
    except (OSError, subprocess.SubprocessError, ValueError, LookupError):
        return None


def decode(path: Path, channels: int) -> Generator[Audio, None, None]:
    """Blocks of the first audio stream from its start, float32 at the file's own rate, shape (channels, n).

    ffmpeg drops the encoder's delay where the container records it. Raises OSError if decoding fails.
    """
    command = ["ffmpeg", "-nostdin", *_QUIET_AND_LOCAL, "-i", _url(path), "-map", "0:a:0"]
    command += ["-f", "f32le", "-c:a", "pcm_f32le", "pipe:1"]
    block_bytes = _BLOCK_FRAMES * channels * 4
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, bufsize=0
        )
        assert process.stdout is not None
        try:
            with open(process.stdout.fileno(), "rb", buffering=block_bytes, closefd=False) as pipe:
                while data := pipe.read(block_bytes):
                    usable = len(data) // (4 * channels) * (4 * channels)
                    yield np.frombuffer(data[:usable], "<f4").astype(np.float32).reshape(-1, channels).T
            if process.wait() != 0:
                complaints.seek(0)
                lines = complaints.read().decode("utf-8", "replace").strip().splitlines()
                reason = lines[-1].rpartition(": ")[2] if lines else f"exit status {process.returncode}"
                raise OSError(f"ffmpeg: {reason}")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def _url(path: Path) -> str:
    """`path` such that no character in it means anything to ffmpeg."""
    return f"file:{path.absolute()}"

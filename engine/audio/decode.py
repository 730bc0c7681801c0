"""Decoding a file block by block from a given frame on, with libsndfile or ffmpeg."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from engine.audio import ffmpeg, mp3
from engine.audio.buffer import Audio
from engine.audio.channel_list import decode_channel_list

Decoder = Literal["soundfile", "ffmpeg", "channels"]

_BLOCK_FRAMES = 1 << 15
#: Samples stored one by one, where a seek lands on the frame exactly; elsewhere decoding starts at 0.
_EXACT_SEEK = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
#: The longest MP3 frame. Reads of this size end where the decoder's frames end.
_MP3_FRAME = 1152


class DecodeError(Exception):
    """The decoder refused the file, at its start or on the way; str() is the decoder's own reason."""


def file_name(path: Path) -> str | bytes:
    """`path` as soundfile takes it: bytes, which need not be Unicode, except on Windows."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def decode(path: Path, decoder: Decoder, channels: int, start: int = 0) -> Generator[Audio, None, None]:
    """Blocks from frame `start` to the file's end, float32, shape (channels, n). Raises DecodeError."""
    try:
        if decoder == "ffmpeg":
            yield from _from(start, ffmpeg.decode(path, channels))
        elif decoder == "channels":
            yield from decode_channel_list(path, start)
        elif mp3.lacks_length(path):
            yield from _from(start, _mp3_blocks(path))
        else:
            with soundfile.SoundFile(file_name(path)) as sound:
                if start and sound.subtype.startswith(_EXACT_SEEK):
                    sound.seek(start)
                    start = 0
                yield from _from(start, _blocks(sound))
    except soundfile.LibsndfileError as error:
        raise DecodeError(error.error_string.removeprefix("Error : ").rstrip(".")) from error
    except OSError as error:
        raise DecodeError(error.strerror or str(error)) from error


def _blocks(sound: soundfile.SoundFile) -> Generator[Audio, None, None]:
    while (block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)).size:
        yield block.T


def _mp3_blocks(path: Path) -> Generator[Audio, None, None]:
    with closing(mp3.EndlessFile(path)) as file, soundfile.SoundFile(file) as sound:
        ended = False
        while not ended:
            pieces: list[Audio] = []
            while not ended and len(pieces) * _MP3_FRAME < _BLOCK_FRAMES:
                try:
                    pieces.append(sound.read(_MP3_FRAME, dtype="float32", always_2d=True).T)
                    ended = pieces[-1].size == 0
                except soundfile.LibsndfileError:
                    if not file.at_end:
                        raise
                    ended = True  # half an MP3 frame at the very end: all before it was handed out
            if pieces:
                yield np.concatenate(pieces, axis=1)


def _from(start: int, blocks: Generator[Audio, None, None]) -> Generator[Audio, None, None]:
    """`blocks` without their first `start` frames."""
    for block in blocks:
        if start < block.shape[1]:
            yield block[:, start:]
        start = max(start - block.shape[1], 0)

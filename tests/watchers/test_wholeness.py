from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.audio import ffmpeg
from watchers.wholeness import Whole, wholeness

Audio = Callable[..., bytes]

FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("RF64", "PCM_24"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_24"),
    ("CAF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.mark.parametrize(("format", "subtype"), FORMATS)
def test_a_whole_file_is_whole_and_a_cut_one_never(
    tmp_path: Path, audio: Audio, format: str, subtype: str
) -> None:
    path = tmp_path / "song"
    data = audio(0, format, subtype, rate=48_000)
    path.write_bytes(data)
    assert wholeness(path).whole is Whole.YES
    for share in (0.999, 0.9, 0.5, 0.1):
        path.write_bytes(data[: int(len(data) * share)])
        found = wholeness(path)
        assert found.whole is Whole.NO, share
        assert found.missing


@pytest.mark.parametrize(("format", "subtype"), FORMATS)
def test_hardly_anything_there_is_not_whole(tmp_path: Path, audio: Audio, format: str, subtype: str) -> None:
    path = tmp_path / "song"
    data = audio(0, format, subtype, rate=48_000)
    for length in (1, 4, 11, 12, 20, 43, 60):
        path.write_bytes(data[:length])
        assert wholeness(path).whole is not Whole.YES, length


def test_the_seconds_that_are_there(tmp_path: Path, audio: Audio) -> None:
    path = tmp_path / "song"
    for format in ("WAV", "AIFF"):
        data = audio(0, format, seconds=2.0)
        path.write_bytes(data[: len(data) - 44_100 * 4])
        assert wholeness(path).missing == "1.00 of 2.00 seconds"
    data = audio(0, "FLAC", seconds=2.0)
    path.write_bytes(data[: len(data) // 2])
    assert wholeness(path).missing.endswith("of 2.00 seconds")


def test_what_comes_after_the_audio_belongs_to_the_file(tmp_path: Path, audio: Audio) -> None:
    path = tmp_path / "song.wav"
    data = bytearray(audio())
    data += b"bext" + struct.pack("<I", 600) + bytes(600)
    data[4:8] = struct.pack("<I", len(data) - 8)
    path.write_bytes(data)
    assert wholeness(path).whole is Whole.YES
    path.write_bytes(data[:-300])
    assert wholeness(path).whole is Whole.NO
    path.write_bytes(data + b"TAG" + bytes(125))  # what was put behind it does no harm
    assert wholeness(path).whole is Whole.YES


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_from_a_pipe_tells_no_length(tmp_path: Path, audio: Audio, size: int) -> None:
    path = tmp_path / "song.wav"
    data = bytearray(audio())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    assert wholeness(path).whole is Whole.UNKNOWN
    data[4:8] = struct.pack("<I", size)
    path.write_bytes(data)
    assert wholeness(path).whole is Whole.UNKNOWN


def test_an_mp3_without_a_xing_header_tells_no_length(tmp_path: Path, audio: Audio) -> None:
    path = tmp_path / "song.mp3"
    data = audio(0, "MP3", "MPEG_LAYER_III")
    path.write_bytes(data.replace(b"Xing", bytes(4)))
    assert wholeness(path).whole is Whole.UNKNOWN
    path.write_bytes(b"ID3\3\0\0\0\0\1\0" + bytes(128) + data)  # after a tag it is found all the same
    assert wholeness(path).whole is Whole.YES
    path.write_bytes(b"ID3\3\0\0\0\0\1\0" + bytes(128) + data[:-5000])
    assert wholeness(path).whole is Whole.NO
    path.write_bytes(b"ID3\3\0\0\0\0\1\0" + bytes(100))
    assert wholeness(path).whole is Whole.NO


def test_other_bytes_tell_nothing(tmp_path: Path) -> None:
    path = tmp_path / "song"
    for data in (b"", b"Hello", os.urandom(100)):
        path.write_bytes(data)
        assert wholeness(path).whole is Whole.UNKNOWN


@pytest.mark.skipif(not ffmpeg.available(), reason="needs ffmpeg")
@pytest.mark.parametrize("flags", [[], ["-movflags", "+faststart"], ["-movflags", "+frag_keyframe"]])
def test_mp4(tmp_path: Path, audio: Audio, flags: list[str]) -> None:
    source, path = tmp_path / "song.wav", tmp_path / "song.m4a"
    source.write_bytes(audio(seconds=2.0))
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "aac", *flags, path], check=True)
    assert wholeness(path).whole is Whole.YES
    for share in (0.99, 0.5, 0.01):
        cut = tmp_path / "cut.m4a"
        shutil.copy(path, cut)
        os.truncate(cut, int(path.stat().st_size * share))
        assert wholeness(cut).whole is Whole.NO

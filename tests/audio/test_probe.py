from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio import ffmpeg
from engine.audio.buffer import Audio
from engine.audio.probe import probe
from engine.errors import InputError

needs_ffmpeg = pytest.mark.skipif(not ffmpeg.available(), reason="needs ffmpeg")


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        probe(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "FLOAT"),
        ("wav", "DOUBLE"),
        ("rf64", "PCM_24"),
        ("w64", "FLOAT"),
        ("aiff", "PCM_24"),
        ("caf", "FLOAT"),
        ("flac", "PCM_24"),
        ("ogg", "VORBIS"),
        ("ogg", "OPUS"),
        ("mp3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats_that_need_no_ffmpeg(
    tmp_path: Path, noise: Callable[..., Audio], suffix: str, subtype: str, channels: int
) -> None:
    path = tmp_path / f"source.{suffix}"
    soundfile.write(path, noise(24000, channels).T, 48000, format=suffix.upper(), subtype=subtype)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.decoder) == (48000, channels, "soundfile")
    assert info.subtype == subtype
    assert info.frames == 24000 or subtype == "MPEG_LAYER_III"
    assert info.seconds == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "name", ["two words.wav", 'it\'s "quoted".wav', "läuft 🎸.wav", "-rf.wav", "a%03d.wav"]
)
def test_any_file_name(tmp_path: Path, wav: Path, name: str) -> None:
    assert probe(wav.rename(tmp_path / name)).frames == 22050


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="file names are Unicode there")
def test_a_file_name_that_is_not_unicode(tmp_path: Path, wav: Path) -> None:
    assert probe(wav.rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))).frames == 22050


def test_missing_file(tmp_path: Path, wav: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "absent.wav")
    assert "does not exist" in refusal(wav / "inside.wav")


def test_a_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in the file system")
def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in refusal(tmp_path / "pipe.wav")


def test_no_permission(wav: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert "no permission" in refusal(wav)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    assert "empty (0 bytes)" in refusal(tmp_path / "empty.wav")


@pytest.mark.parametrize("text", ["Hello\nthis is text", "#EXTM3U\nhttp://127.0.0.1/a.mp3\n", "Grüße"])
def test_text_called_wav(tmp_path: Path, text: str) -> None:
    path = tmp_path / "text.wav"
    path.write_text(text, encoding="utf-8")
    assert "holds text" in refusal(path)


def test_bytes_that_are_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "picture.wav"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + np.random.default_rng(0).bytes(4000))
    message = refusal(path)
    assert "no audio file" in message or "format" in message


@pytest.mark.parametrize("suffix", ["wav", "rf64", "aiff", "w64", "caf"])
def test_cut_off_file(tmp_path: Path, noise: Callable[..., Audio], suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    soundfile.write(path, noise(96000).T, 48000, format=suffix.upper(), subtype="PCM_24")
    os.truncate(path, path.stat().st_size - 48000 * 6)
    message = refusal(path)
    assert "cut off" in message
    assert "Copy or export" in message
    assert "1.00 s of the 2.00 s" in message or suffix == "caf"


def test_one_missing_frame_counts_as_cut_off(wav: Path) -> None:
    os.truncate(wav, wav.stat().st_size - 4)
    assert "cut off" in refusal(wav)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_has_no_size_and_is_read_to_its_end(wav: Path, size: int) -> None:
    data = bytearray(wav.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", size)
    data[4:8] = struct.pack("<I", 0xFFFFFFFF)
    wav.write_bytes(data)
    assert probe(wav).frames == 22050


def test_damaged_header(wav: Path) -> None:
    data = bytearray(wav.read_bytes())
    data[22:24] = b"\0\0"  # 0 channels
    wav.write_bytes(data)
    assert "damaged header" in refusal(wav)


@pytest.mark.parametrize("length", [1, 4, 11, 12, 20, 30, 43])
def test_a_stub_of_a_header(wav: Path, length: int) -> None:
    os.truncate(wav, length)
    refusal(wav)


def test_random_damage_never_gives_another_error(
    tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # starting ffprobe each time would take long
    random = np.random.default_rng(1)
    healthy = wav.read_bytes()[:3000]
    for _ in range(150):
        data = bytearray(healthy)
        for _ in range(3):
            data[random.integers(0, 60)] = random.integers(0, 256)
        wav.write_bytes(data)
        with contextlib.suppress(InputError):
            probe(wav)


def test_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros((0, 2)), 44100)
    assert "0 frames" in refusal(path)


def test_too_short(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, noise(881).T, 44100)
    assert "too short" in refusal(path)
    soundfile.write(path, noise(882).T, 44100)
    assert probe(path).frames == 882


@pytest.mark.parametrize("channels", [3, 6])
def test_more_than_two_channels(tmp_path: Path, noise: Callable[..., Audio], channels: int) -> None:
    path = tmp_path / "surround.wav"
    soundfile.write(path, noise(4410, channels).T, 44100)
    message = refusal(path)
    assert f"{channels} channels" in message
    assert "stereo pairs" in message


def test_a_format_that_needs_ffmpeg_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "song.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(1000))
    monkeypatch.setenv("PATH", str(tmp_path))
    message = refusal(path)
    assert "Install ffmpeg" in message
    assert "WAV or FLAC" in message


@needs_ffmpeg
def test_lossless_m4a_through_ffmpeg_is_exact(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "it's 100% läuft.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-c:a", "alac", path], check=True)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.frames, info.decoder) == (44100, 2, 22050, "ffmpeg")


@needs_ffmpeg
def test_flac_without_a_length_is_read(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "stream.flac"
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", wav, "-f", "flac", "-"], capture_output=True, check=True
    )
    path.write_bytes(done.stdout)
    assert probe(path).frames == 22050


@needs_ffmpeg
def test_surround_through_ffmpeg_is_refused(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    source, path = tmp_path / "surround.wav", tmp_path / "surround.m4a"
    soundfile.write(source, noise(9600, 6).T, 48000)
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "aac", path], check=True)
    assert "6 channels" in refusal(path)


@needs_ffmpeg
def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "silent film.mp4"
    picture = ["-f", "lavfi", "-i", "color=size=16x16:duration=0.2", "-c:v", "mpeg4"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, path], check=True)
    assert "no audio file" in refusal(path)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_a_playlist_in_disguise_opens_nothing_else(tmp_path: Path, wav: Path) -> None:
    path = tmp_path / "list.wav"
    path.write_bytes(b"\0ffconcat version 1.0\nfile healthy.wav\n")
    refusal(path)

"""A channel list reads as the one file would that holds its channels, and says what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import Audio
from engine.audio.probe import probe
from engine.audio.read import read_audio
from engine.errors import InputError
from engine.progress import Progress

FRAMES, RATE = 70_000, 48_000


@pytest.fixture
def take(tmp_path: Path) -> tuple[Audio, list[Path]]:
    """Stereo noise, and the two mono files that hold its channels; the second one is longer."""
    audio = np.random.default_rng(3).standard_normal((2, FRAMES), np.float32) * np.float32(0.1)
    paths = [tmp_path / "take%L.wav", tmp_path / "täke%R.wav"]
    soundfile.write(paths[0], audio[0], RATE, subtype="FLOAT")
    soundfile.write(paths[1], np.append(audio[1], np.float32(0.5)), RATE, subtype="FLOAT")
    return audio, paths


def write(tmp_path: Path, channels: object, rate: object = RATE, version: str = "1.0") -> Path:
    path = tmp_path / "take.stemfix-channels"
    path.write_text(
        json.dumps({"channel_list_version": version, "sample_rate": rate, "channels": channels}),
        encoding="utf-8",
    )
    return path


def test_two_mono_files_read_as_one_stereo_file(tmp_path: Path, take: tuple[Audio, list[Path]]) -> None:
    audio, (left, right) = take
    info = probe(write(tmp_path, [{"path": str(left)}, {"path": str(right), "channel": 0}]))
    assert (info.channels, info.frames, info.sample_rate) == (2, FRAMES, RATE)
    read = read_audio(info, 1_237, 69_001, tmp_path / "a.f32", Progress())
    np.testing.assert_array_equal(read.read(0, read.frames), audio[:, 1_237:69_001])


def test_one_channel_of_a_file_at_the_rate_that_it_is_played_at(
    tmp_path: Path, take: tuple[Audio, list[Path]]
) -> None:
    both = tmp_path / "both.flac"
    soundfile.write(both, take[0].T, RATE, subtype="PCM_24")
    info = probe(write(tmp_path, [{"path": str(both), "channel": 1}], rate=44_100))
    assert (info.channels, info.frames, info.sample_rate) == (1, FRAMES, 44_100)
    read = read_audio(info, 40_000, 40_010, tmp_path / "a.f32", Progress())
    np.testing.assert_array_equal(
        read.read(0, 10)[0], soundfile.read(both, dtype="float32")[0][40_000:40_010, 1]
    )


def test_what_cannot_serve_is_refused_with_one_sentence(
    tmp_path: Path, take: tuple[Audio, list[Path]]
) -> None:
    _, (left, _) = take
    lossy = tmp_path / "lossy.ogg"
    soundfile.write(lossy, take[0].T, RATE)
    for channels, sentence in (
        ([{"path": str(left), "channel": 1}], "has 1 channels, and channel 2 is asked for"),
        ([{"path": str(tmp_path / "no.wav")}], "it is not there"),
        ([{"path": "take%L.wav"}], "not an absolute path"),
        ([{"path": str(lossy)}], "lossy format"),
        ([], "not a channel list"),
        ([{"path": str(left)}] * 3, "not a channel list"),
    ):
        with pytest.raises(InputError, match=sentence):
            probe(write(tmp_path, channels))
    with pytest.raises(InputError, match="not a channel list"):
        probe(write(tmp_path, [{"path": str(left)}], version="2.0"))
    (tmp_path / "junk.stemfix-channels").write_bytes(b"\xff\x00")
    with pytest.raises(InputError, match="it is not JSON"):
        probe(tmp_path / "junk.stemfix-channels")
    with pytest.raises(InputError, match="can't be read"):
        probe(tmp_path / "absent.stemfix-channels")

"""Bad input: status 2, one line that names the file, and nothing written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.usefixtures("fake_model")
MakeSong = Callable[..., Path]


def write(path: Path, audio: np.ndarray, rate: int = 44_100) -> None:
    soundfile.write(path, audio.astype(np.float32), rate, subtype="FLOAT")


def truncated(path: Path) -> None:
    write(path, np.full((44_100, 2), 0.1))
    path.write_bytes(path.read_bytes()[:100_000])


def not_a_number(path: Path) -> None:
    audio = np.full((44_100, 2), 0.1)
    audio[10_000] = np.nan
    write(path, audio)


BAD: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncated,
    "text": lambda path: path.write_text("Dear listener,\n" * 100),
    "random bytes": lambda path: path.write_bytes(np.random.default_rng(0).bytes(50_000)),
    "header alone": lambda path: write(path, np.zeros((0, 2))),
    "one sample": lambda path: write(path, np.full((1, 2), 0.5)),
    "eight channels": lambda path: write(path, np.full((44_100, 8), 0.1)),
    "not a number": not_a_number,
    "silence": lambda path: write(path, np.zeros((44_100, 2))),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_song_is_refused(stemfix, tmp_path: Path, kind: str) -> None:
    song = tmp_path / "my song 🎸.wav"
    BAD[kind](song)
    outcome = stemfix("enhance", song)
    assert outcome.status == 2, outcome.err
    assert len(outcome.error_lines) == 1
    assert "my song 🎸.wav" in outcome.error_lines[0]
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert [path.name for path in tmp_path.iterdir()] == [song.name]


def test_a_file_that_is_not_there(stemfix, tmp_path: Path) -> None:
    outcome = stemfix("enhance", tmp_path / "gone.wav")
    assert outcome.status == 2
    assert outcome.err == f"stemfix: There is no file {tmp_path / 'gone.wav'}. Check its name and place.\n"


def test_a_folder_without_audio(stemfix, tmp_path: Path) -> None:
    outcome = stemfix("enhance", tmp_path)
    assert outcome.status == 2
    assert str(tmp_path) in outcome.err


@pytest.mark.parametrize(
    "arguments",
    [["--preset", "nonsense"], ["--range", "5:1"], ["--range", "1:2:3"], ["--preset", "no/such/file.toml"]],
)
def test_a_bad_option_is_refused_before_anything_is_done(
    stemfix, make_song: MakeSong, arguments: list[str]
) -> None:
    song = make_song()
    outcome = stemfix("enhance", song, *arguments)
    assert outcome.status == 2
    assert len(outcome.error_lines) == 1
    assert arguments[-1] in outcome.err
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]


def test_a_preset_with_an_unknown_key_is_refused_with_its_line(
    stemfix, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song("in/song.wav")
    preset = tmp_path / "mine.toml"
    preset.write_text('description = "mine"\nqualty = "standard"\n')
    outcome = stemfix("enhance", song, "--preset", preset)
    assert outcome.status == 2
    assert "line 2" in outcome.err
    assert "qualty" in outcome.err
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions don't hold for the superuser")
def test_a_folder_that_may_not_be_written(stemfix, make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song("in/song.wav")
    out = tmp_path / "locked"
    out.mkdir(mode=0o500)
    outcome = stemfix("enhance", song, "--out", out)
    assert outcome.status == 2
    assert str(out) in outcome.err


def test_a_file_where_the_folder_should_be(stemfix, make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song("in/song.wav")
    out = tmp_path / "out"
    out.write_text("I was here first.")
    outcome = stemfix("enhance", song, "--out", out)
    assert outcome.status == 2
    assert str(out) in outcome.err
    assert out.read_text() == "I was here first."


def test_too_little_room_on_the_disk(stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch) -> None:
    song = make_song()
    usage = shutil.disk_usage(song.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    outcome = stemfix("enhance", song)
    assert outcome.status == 2
    assert "space" in outcome.err
    assert [path.name for path in song.parent.iterdir()] == ["song.wav"]


def test_a_folder_that_vanishes_on_the_way(
    stemfix, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import engine.pipeline

    song = make_song("in/song.wav")
    out = tmp_path / "stick"
    real = engine.pipeline.separate_stems

    def vanish(*arguments: object, **named: object) -> object:
        shutil.rmtree(out)
        return real(*arguments, **named)

    monkeypatch.setattr(engine.pipeline, "separate_stems", vanish)
    outcome = stemfix("enhance", song, "--out", out, "--no-cache")
    assert outcome.status == 2, outcome.err
    assert len(outcome.error_lines) == 1
    assert not out.exists()


def test_a_bad_variable_is_refused_by_name(
    stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMUCS_OVERLAP", "lots")
    outcome = stemfix("enhance", make_song())
    assert outcome.status == 2
    assert "DEMUCS_OVERLAP" in outcome.err

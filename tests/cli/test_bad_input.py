"""Bad input: status 2, one line that names the file and the remedy, and nothing written, changed or lost."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import AudioBuffer

pytestmark = pytest.mark.usefixtures("fake_model")
MakeSong = Callable[..., Path]
EXPORT_AGAIN = "Export it again from the program that made it, or mute that spot."


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything below `folder`, hidden or not: each file's bytes, None for folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def write(path: Path, audio: np.ndarray, rate: int = 44_100) -> None:
    soundfile.write(path, audio.astype(np.float32), rate, subtype="FLOAT")


def truncated(path: Path) -> None:
    write(path, np.full((44_100, 2), 0.1))
    path.write_bytes(path.read_bytes()[:100_000])


def with_value(value: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        audio = np.full((44_100, 2), 0.1)
        audio[10_000] = value
        write(path, audio)

    return make


#: How to make the file, and what is said of it after its name.
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes). Copy or export the file again."),
    "truncated": (
        truncated,
        "is cut off: it holds 0.28 s of the 1.00 s that its header promises. Copy or export the file again.",
    ),
    "text": (
        lambda path: path.write_text("Dear listener,\n" * 100),
        "holds text, not audio. Give an audio file.",
    ),
    "random bytes": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(50_000)),
        "is no audio file that can be read. Export it again as WAV or FLAC.",
    ),
    "header alone": (
        lambda path: write(path, np.zeros((0, 2))),
        "holds no audio (0 frames). Export it again; an interrupted recording must first be repaired by the "
        "program that made it.",
    ),
    "one sample": (
        lambda path: write(path, np.full((1, 2), 0.5)),
        "is too short: 1 frame (0.02 ms). Give at least 20 ms of audio.",
    ),
    "eight channels": (
        lambda path: write(path, np.full((44_100, 8), 0.1)),
        "has 8 channels; stemfix works on mono and stereo. Split it into stereo pairs.",
    ),
    "not a number": (
        with_value(np.nan),
        "holds 2 samples that are not finite numbers (NaN or infinite), the first at 0.227 s. "
        + EXPORT_AGAIN,
    ),
    "infinite": (
        with_value(-np.inf),
        "holds 2 samples that are not finite numbers (NaN or infinite), the first at 0.227 s. "
        + EXPORT_AGAIN,
    ),
    "silence": (
        lambda path: write(path, np.zeros((44_100, 2))),
        "is silent: there is nothing to enhance. Check that it is the right file and range.",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_song_is_refused(stemfix, tmp_path: Path, kind: str) -> None:
    make, expected = BAD[kind]
    if kind == "random bytes" and shutil.which("ffmpeg") is None:
        expected = "is in a format that stemfix can't read by itself. Install ffmpeg, or convert the file to "
        expected += "WAV or FLAC."
    song = tmp_path / "my song 🎸.wav"
    make(song)
    before = tree(tmp_path)
    outcome = stemfix("enhance", song)
    assert outcome.status == 2, outcome.err
    assert outcome.error_lines == [f"stemfix: {song} {expected}"]
    assert outcome.out == ""
    assert tree(tmp_path) == before


@pytest.mark.parametrize("rate", [8_000, 192_000])
def test_extreme_rates_are_no_bad_input(stemfix, make_song: MakeSong, rate: int) -> None:
    song = make_song(rate=rate)
    assert stemfix("enhance", song).status == 0
    for part in ("drums", "bass", "other", "vocals", "mix"):
        info = soundfile.info(song.parent / "song.stemfix" / f"song-{part}.wav")
        assert (info.samplerate, info.frames, info.channels) == (rate, rate, 2)


def test_a_full_scale_square_makes_a_mix_within_bounds_and_stems_that_are_not_clipped(
    stemfix, tmp_path: Path
) -> None:
    song = tmp_path / "square.wav"
    time = np.arange(3 * 44_100)
    square = np.where(time // 400 % 2, 1.0, -1.0)
    write(song, np.stack([square, -square], axis=1))
    (found,) = stemfix("enhance", song, "--json").objects
    assert found["manifest"]["mix"]["true_peak_db"] <= -1.0
    (found,) = stemfix("separate", song, "--json").objects
    assert {stem["clipped_samples"] for stem in found["manifest"]["stems"]} == {0}
    stems = [soundfile.read(Path(found["folder"]) / stem["file"])[0] for stem in found["manifest"]["stems"]]
    # The bands of a square overshoot; had one been clipped, they would no longer sum to it.
    assert max(np.abs(stem).max() for stem in stems) > 1.0
    assert np.abs(sum(stems) - soundfile.read(song)[0]).max() < 1e-6


def test_three_hours_are_planned_without_reading_them(
    stemfix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = tmp_path / "long.wav"
    write(song, np.zeros((1, 2)))
    data = 3 * 3600 * 44_100 * 8
    head = bytearray(song.read_bytes()[:-8])
    head[4:8] = (len(head) - 8 + data).to_bytes(4, "little")
    head[-4:] = data.to_bytes(4, "little")
    song.write_bytes(head)
    os.truncate(song, len(head) + data)

    def read(*arguments: Any) -> None:
        raise AssertionError("a dry run read the samples")

    monkeypatch.setattr("engine.audio.decode.decode", read)
    outcome = stemfix("enhance", song, "--dry-run")
    assert outcome.status == 0, outcome.err
    lines = dict(line.split(maxsplit=1) for line in outcome.out.splitlines()[:-1])
    assert lines["part"] == "476280000 frames, 10800.000 s"
    # 7.8 s long, each a quarter over the next
    assert lines["model"].endswith(f", {int(np.ceil(10_800 / (7.8 * 0.75)))} segments")
    assert lines["results"] == "19.1 GB"
    assert lines["disk"].startswith("76.2 GB needed, ")
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


def test_a_file_that_is_not_there(stemfix, tmp_path: Path) -> None:
    outcome = stemfix("enhance", tmp_path / "gone.wav")
    assert outcome.status == 2
    assert outcome.err == f"stemfix: There is no file {tmp_path / 'gone.wav'}. Check its name and place.\n"


def test_a_folder_without_audio(stemfix, tmp_path: Path) -> None:
    outcome = stemfix("enhance", tmp_path)
    assert outcome.status == 2
    assert outcome.err == (
        f"stemfix: There is no audio file in the folder {tmp_path}. "
        "Name another folder, or search below it with --recursive.\n"
    )


def test_a_leading_dash_is_an_option_until_it_is_said_to_be_a_name(
    stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = make_song("-dash.wav")
    monkeypatch.chdir(song.parent)
    outcome = stemfix("separate", "-dash.wav")
    assert outcome.status == 2
    assert "No such option" in outcome.err
    assert list(song.parent.iterdir()) == [song]
    assert stemfix("separate", "--", "-dash.wav").status == 0
    assert (song.parent / "-dash.stemfix" / "-dash-vocals.wav").is_file()


@pytest.mark.parametrize(
    "arguments",
    [["--preset", "nonsense"], ["--range", "5:1"], ["--range", "1:2:3"], ["--preset", "no/such/file.toml"]],
)
def test_a_bad_option_is_refused_before_anything_is_done(
    stemfix, make_song: MakeSong, arguments: list[str]
) -> None:
    song = make_song()
    before = tree(song.parent)
    outcome = stemfix("enhance", song, *arguments)
    assert outcome.status == 2
    assert len(outcome.error_lines) == 1
    assert arguments[-1] in outcome.err
    assert tree(song.parent) == before


def test_a_preset_with_an_unknown_key_is_refused_with_its_line_and_the_nearest_key(
    stemfix, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song("in/song.wav")
    preset = tmp_path / "mine.toml"
    preset.write_text('description = "mine"\nqualty = "standard"\n')
    before = tree(tmp_path)
    outcome = stemfix("enhance", song, "--preset", preset)
    assert outcome.status == 2
    assert outcome.error_lines[0].startswith(f"stemfix: {preset}, line 2: unknown key 'qualty'")
    assert "'quality'" in outcome.error_lines[0]
    assert tree(tmp_path) == before


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Within the block permissions hold, even where the tests are run by the superuser."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(stemfix, make_song: MakeSong) -> Iterator[Path]:
    """A folder that other users may look into, with a song in it."""
    # What the program imports on its way may not be readable for another user, so it is imported now.
    assert stemfix("separate", make_song("warm-up.wav")).status == 0
    folder = Path(tempfile.mkdtemp())
    shutil.copy(make_song(), folder / "song.wav")
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


no_permissions = pytest.mark.skipif(os.name == "nt", reason="permissions are other ones there")


@no_permissions
def test_a_folder_that_may_not_be_written(stemfix, open_folder: Path) -> None:
    out = open_folder / "locked"
    out.mkdir()
    out.chmod(0o555)
    before = tree(open_folder)
    with an_ordinary_user():
        outcome = stemfix("enhance", open_folder / "song.wav", "--out", out)
    assert outcome.status == 2
    assert outcome.err.endswith(
        f"stemfix: {out} can't be written: there is no permission. "
        "Allow writing to that folder or choose another output folder.\n"
    )
    assert tree(open_folder) == before
    out.chmod(0o755)


@no_permissions
def test_a_file_that_may_not_be_read(stemfix, open_folder: Path) -> None:
    song = open_folder / "song.wav"
    before = tree(open_folder)
    song.chmod(0o000)
    with an_ordinary_user():
        outcome = stemfix("enhance", song)
    song.chmod(0o644)
    assert outcome.status == 2
    assert outcome.err == f"stemfix: {song} can't be read: there is no permission. Allow reading it.\n"
    assert tree(open_folder) == before


def test_a_file_where_the_folder_should_be(stemfix, make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song("in/song.wav")
    out = tmp_path / "out"
    out.write_text("I was here first.")
    before = tree(tmp_path)
    outcome = stemfix("enhance", song, "--out", out)
    assert outcome.status == 2
    assert str(out) in outcome.error_lines[0]
    assert tree(tmp_path) == before


def test_too_little_room_on_the_disk(stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch) -> None:
    song = make_song()
    before = tree(song.parent)
    usage = shutil.disk_usage(song.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    outcome = stemfix("enhance", song)
    assert outcome.status == 2
    assert outcome.error_lines == [
        f"stemfix: {song.parent} has 0.0 GB free, and this job needs 0.0 GB. "
        "Free some space or choose another folder with --out."
    ]
    assert tree(song.parent) == before


@pytest.mark.parametrize("writes", [0, 1, 3, 6, 9, 12])
def test_a_disk_that_fills_up_on_the_way(
    stemfix, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    song = make_song("in/song.wav")
    before = tree(tmp_path)
    left = [writes]
    real = AudioBuffer.write

    def full(self: AudioBuffer, start: int, block: np.ndarray) -> None:
        left[0] -= 1
        if left[0] < 0 and self.path is not None:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, start, block)

    monkeypatch.setattr(AudioBuffer, "write", full)
    outcome = stemfix("enhance", song, "--out", tmp_path / "out", "--no-cache")
    assert outcome.status == 2, outcome.err
    (line,) = outcome.error_lines
    assert line.startswith(f"stemfix: {tmp_path / 'out'}")
    assert line.endswith(
        " can't be written: the disk is full. "
        "Free some space or choose another output folder, then run it again."
    )
    assert tree(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on a file's size there")
def test_a_file_that_grows_too_large_for_the_disk(stemfix, make_song: MakeSong, tmp_path: Path) -> None:
    import resource

    song = make_song("in/song.wav", seconds=2.0)
    before = tree(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, limits[1]))
    try:
        outcome = stemfix("enhance", song, "--out", tmp_path / "out", "--no-cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert outcome.status == 2, outcome.err
    (line,) = outcome.error_lines
    assert line.startswith(f"stemfix: {tmp_path / 'out'}")
    assert "the file would be larger than the file system allows. Choose an output folder on" in line
    assert tree(tmp_path) == before


@pytest.mark.parametrize("stage", ["separate_stems", "run_chain", "make_mix", "prove", "write_results"])
def test_a_folder_that_vanishes_on_the_way(
    stemfix, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    import engine.pipeline

    song = make_song("in/song.wav")
    before = tree(tmp_path)
    out = tmp_path / "stick"
    real = getattr(engine.pipeline, stage)

    def vanish(*arguments: object, **named: object) -> object:
        shutil.rmtree(out, ignore_errors=True)
        return real(*arguments, **named)

    monkeypatch.setattr(engine.pipeline, stage, vanish)
    outcome = stemfix("enhance", song, "--out", out, "--no-cache")
    assert outcome.status == 2, outcome.err
    (line,) = outcome.error_lines
    assert line.startswith(f"stemfix: {out}")
    assert line.endswith(
        " can't be written: its folder does not exist. "
        "Create the folder, or reconnect the disk that held it, then run it again."
    )
    assert tree(tmp_path) == before


def test_a_bad_variable_is_refused_by_name(
    stemfix, make_song: MakeSong, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMUCS_OVERLAP", "lots")
    outcome = stemfix("enhance", make_song())
    assert outcome.status == 2
    assert "DEMUCS_OVERLAP" in outcome.err

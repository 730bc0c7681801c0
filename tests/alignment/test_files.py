"""Two files of any kind are compared, and a corrected copy is a new file of the same kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.alignment.files import compare_files, fix_file
from engine.alignment.verdict import Verdict
from engine.audio.output_format import OutputFormat
from engine.audio.wav_metadata import WavMetadata, read_metadata
from engine.audio.write import write_audio
from engine.errors import AlignmentError, InputError, OptionError, OutputError

RATE = 44_100


@pytest.fixture
def write(tmp_path: Path, song: Any) -> Any:
    quiet = song / np.abs(song).max() * 0.5

    def make(name: str, change: Any = lambda x: x, rate: int = RATE, subtype: str = "FLOAT") -> Path:
        path = tmp_path / name
        soundfile.write(path, np.asarray(change(quiet)).T, rate, subtype)
        return path

    return make


def test_equal_files_are_identical(write: Any, tmp_path: Path) -> None:
    found = compare_files(write("a.wav"), write("b.wav"), tmp_path)
    assert found.alignment.identical
    assert found.judgement.verdict is Verdict.PASS
    assert found.null is not None
    assert found.null.rms_db == -200.0
    assert found.notes == []


def test_other_rates_channels_and_lengths_are_compared_and_said(write: Any, tmp_path: Path) -> None:
    import soxr

    def convert(x: Any) -> Any:
        return soxr.resample(np.pad(x, ((0, 0), (441, 0))).mean(0), RATE, 48_000, "VHQ")[None]

    found = compare_files(write("a.wav"), write("b.wav", convert, 48_000), tmp_path)
    assert found.alignment.delay_samples == pytest.approx(441, abs=0.01)
    assert found.null is None
    assert len(found.notes) == 3
    assert "resampled from 48000 to 44100" in found.notes[0]
    assert "b.wav is longer by 441 samples" in found.notes[1]
    assert "mono sums" in found.notes[2]


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("b.wav", "FLOAT"),
        ("b.wav", "PCM_24"),
        ("b.wav", "PCM_16"),
        ("b.flac", "PCM_24"),
        ("b.flac", "PCM_16"),
    ],
)
def test_a_corrected_copy_is_of_the_same_kind(
    write: Any, delayed: Any, tmp_path: Path, name: str, subtype: str
) -> None:
    a = write("a.wav")
    b = write(name, lambda x: -delayed(x, 12.4), subtype=subtype)
    before, out = b.read_bytes(), tmp_path / f"fixed-{name}"
    found = fix_file(a, b, out)
    assert found.judgement.verdict is Verdict.FAIL
    assert b.read_bytes() == before
    assert soundfile.info(out).subtype == subtype
    (tmp_path / "again").mkdir()
    again = compare_files(a, out, tmp_path / "again")
    assert again.judgement.verdict is Verdict.PASS
    assert abs(again.alignment.delay_samples) < 0.01


def test_a_file_of_another_rate_is_corrected_at_its_own(write: Any, tmp_path: Path) -> None:
    import soxr

    def convert(x: Any) -> Any:
        return np.roll(soxr.resample(x.T, RATE, 48_000, "VHQ").T, 100, axis=1)

    a, out = write("a.wav"), tmp_path / "fixed.wav"
    fix_file(a, write("b.wav", convert, 48_000), out)
    assert soundfile.info(out).samplerate == 48_000
    (tmp_path / "again").mkdir()
    assert abs(compare_files(a, out, tmp_path / "again").alignment.delay_samples) < 0.01


def test_metadata_is_kept(write: Any, delayed: Any, buffer: Any, song: Any, tmp_path: Path) -> None:
    b, out = tmp_path / "b.wav", tmp_path / "fixed.wav"
    metadata = WavMetadata(description="take 3", time_reference=123_456, coding_history="A=ANALOGUE")
    late = buffer(delayed(song / np.abs(song).max() * 0.5, 5.5))
    write_audio(b, late, OutputFormat.FLOAT32, metadata, 0)
    fix_file(write("a.wav"), b, out)
    kept = read_metadata(out)
    assert (kept.description, kept.time_reference) == ("take 3", 123_456)
    first, last = kept.coding_history.splitlines()
    assert first == "A=ANALOGUE"
    assert last.startswith("A=PCM,F=44100,W=32,M=stereo,T=stemfix engine ")
    assert last.endswith(";moved by -5.500 samples;polarity kept")


def test_nothing_is_overwritten(write: Any, delayed: Any, tmp_path: Path) -> None:
    a, b = write("a.wav"), write("b.wav", lambda x: delayed(x, 3.0))
    taken = tmp_path / "taken.wav"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputError, match="never overwritten"):
        fix_file(a, b, taken)
    with pytest.raises(OutputError, match="never overwritten"):
        fix_file(a, b, b)
    assert taken.read_bytes() == b"mine"


def test_the_copy_appears_whole_or_not_at_all(
    write: Any, delayed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, out = write("a.wav"), write("b.wav", lambda x: delayed(x, 3.0)), tmp_path / "fixed.wav"
    seen: list[set[str]] = []

    def stopped(path: Path, *rest: Any) -> None:
        write_audio(path, *rest)
        seen.append({entry.name for entry in tmp_path.iterdir() if not entry.name.startswith(".")})
        raise KeyboardInterrupt

    monkeypatch.setattr("engine.alignment.files.write_audio", stopped)
    with pytest.raises(KeyboardInterrupt):
        fix_file(a, b, out)
    assert seen == [{"a.wav", "b.wav"}], "all but the last step is in a hidden folder"
    assert sorted(tmp_path.iterdir()) == [a, b]


def test_what_a_killed_process_left_is_swept(write: Any, delayed: Any, tmp_path: Path) -> None:
    a, b = write("a.wav"), write("b.wav", lambda x: delayed(x, 3.0))
    left = tmp_path / ".align.stemfix.partial-dead"
    left.mkdir()
    (left / "lock").touch()
    fix_file(a, b, tmp_path / "fixed.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.wav", "fixed.wav"]


def test_a_file_that_came_meanwhile_is_not_replaced(
    write: Any, delayed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, out = write("a.wav"), write("b.wav", lambda x: delayed(x, 3.0)), tmp_path / "fixed.wav"

    def overtaken(path: Path, *rest: Any) -> None:
        write_audio(path, *rest)
        out.write_bytes(b"mine")

    monkeypatch.setattr("engine.alignment.files.write_audio", overtaken)
    with pytest.raises(OutputError, match=r"fixed\.wav can't be written: it exists"):
        fix_file(a, b, out)
    assert out.read_bytes() == b"mine"
    assert sorted(tmp_path.iterdir()) == [a, b, out]


def test_the_folder_must_be_there(write: Any, delayed: Any, tmp_path: Path) -> None:
    a, b = write("a.wav"), write("b.wav", lambda x: delayed(x, 3.0))
    with pytest.raises(OutputError, match="Create the folder first"):
        fix_file(a, b, tmp_path / "none" / "fixed.wav")
    assert sorted(tmp_path.iterdir()) == [a, b]


def test_nothing_is_written_where_there_is_nothing_to_correct(write: Any, tmp_path: Path) -> None:
    out = tmp_path / "fixed.wav"
    with pytest.raises(AlignmentError):
        fix_file(write("a.wav"), write("b.wav"), out)
    assert not out.exists()


def test_the_ending_must_fit(write: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"ends in \.wav"):
        fix_file(write("a.wav"), write("b.wav"), tmp_path / "fixed.mp3")


def test_a_missing_file_is_named(write: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.wav"):
        compare_files(write("a.wav"), tmp_path / "absent.wav", tmp_path)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stemfix.inputs import NoSource, Source, find_sources


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def names(found: list[Source | NoSource]) -> list[str]:
    return [source.path.name for source in found]


def test_a_folder_gives_its_audio_files_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a.FLAC", "notes.txt", ".hidden.wav", "c.stemfix/c-vocals.wav", "sub/d.wav")
    assert names(list(find_sources([tmp_path], None, recursive=False))) == ["a.FLAC", "b.wav"]


def test_recursive_goes_below_but_not_into_results(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "sub/d.wav", "sub/deep/e.mp3", "sub/d.stemfix/d-vocals.wav", ".git/x.wav")
    found = list(find_sources([tmp_path], None, recursive=True))
    assert names(found) == ["b.wav", "d.wav", "e.mp3"]


def test_equal_names_below_a_folder_keep_their_folders_in_out(tmp_path: Path) -> None:
    touch(tmp_path, "in/a/song.wav", "in/b/song.wav")
    out = tmp_path / "out"
    found = list(find_sources([tmp_path / "in"], out, recursive=True))
    assert [source.out_dir for source in found if isinstance(source, Source)] == [out / "a", out / "b"]


def test_results_lie_beside_the_source_by_default(tmp_path: Path) -> None:
    touch(tmp_path, "song.wav")
    assert list(find_sources([tmp_path / "song.wav"], None, False)) == [
        Source(tmp_path / "song.wav", tmp_path)
    ]


def test_a_recording_that_is_named_twice_comes_once(tmp_path: Path) -> None:
    touch(tmp_path, "song.wav")
    assert len(list(find_sources([tmp_path / "song.wav", tmp_path, tmp_path / "song.wav"], None, False))) == 1


def test_a_file_may_be_called_anything_if_it_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "take.xyz")
    assert names(list(find_sources([tmp_path / "take.xyz"], None, False))) == ["take.xyz"]


def test_an_empty_folder_and_a_missing_file_are_errors_that_name_them(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "gone 🎸.wav"):
        (found,) = find_sources([path], None, False)
        assert isinstance(found, NoSource)
        assert str(path) in str(found.error)


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_link_that_goes_round_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert names(list(find_sources([tmp_path], None, recursive=True))) == ["a.wav"]


def test_names_with_spaces_quotes_and_emoji(tmp_path: Path) -> None:
    odd = ['it\'s "mine".wav' if os.name != "nt" else "its mine.wav", "a  b.wav", "🎸.wav"]
    touch(tmp_path, *odd)
    assert sorted(names(list(find_sources([tmp_path], None, False)))) == sorted(odd)

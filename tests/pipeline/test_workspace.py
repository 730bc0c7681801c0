"""A workspace is published by one rename or vanishes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from engine.errors import InputError, OutputError
from engine.workspace import Workspace, discard_job_folder, job_name, result_folders


def test_publishing_takes_the_first_free_name(tmp_path: Path) -> None:
    names = []
    for text in ("a", "b", "c"):
        with Workspace(tmp_path, "song") as work:
            (work.fresh_folder("results") / "file").write_text(text)
            names.append(work.publish().name)
    assert names == ["song.stemfix", "song-2.stemfix", "song-3.stemfix"]
    assert (tmp_path / "song.stemfix" / "file").read_text() == "a"
    assert [folder.name for folder in result_folders(tmp_path, "song")] == sorted(names)


def test_nothing_remains_of_a_job_that_fails(tmp_path: Path) -> None:
    out = tmp_path / "new" / "deep"
    with pytest.raises(ZeroDivisionError), Workspace(out, "song") as work:
        work.path("work.f32").write_bytes(b"x")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Workspace(tmp_path, "song"):
        raise ZeroDivisionError
    assert tmp_path.is_dir()


def test_leftovers_of_a_killed_job_are_swept_and_those_of_a_running_one_are_not(tmp_path: Path) -> None:
    dead = tmp_path / ".song.stemfix.partial-dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "source.f32").write_bytes(b"x" * 100)
    with Workspace(tmp_path, "other") as running:
        assert not dead.exists()
        with Workspace(tmp_path, "song"):
            assert running.path().is_dir()


def test_a_stranger_s_folder_of_that_name_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "song.stemfix").write_text("a file of the user's")
    with Workspace(tmp_path, "song") as work:
        work.fresh_folder("results")
        assert work.publish().name == "song-2.stemfix"
    assert (tmp_path / "song.stemfix").read_text() == "a file of the user's"


def test_many_jobs_at_once_get_a_folder_each(tmp_path: Path) -> None:
    published: list[Path] = []

    def job() -> None:
        with Workspace(tmp_path, "song") as work:
            (work.fresh_folder("results") / "file").write_text("x")
            published.append(work.publish())

    jobs = [threading.Thread(target=job) for _ in range(12)]
    for thread in jobs:
        thread.start()
    for thread in jobs:
        thread.join()
    assert len(set(published)) == 12
    assert len(list(tmp_path.iterdir())) == 12


def test_an_output_folder_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="out"), Workspace(tmp_path / "out", "song"):
        pass


def test_an_output_folder_that_vanishes_is_an_output_error(tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "out"
    with pytest.raises(OutputError, match="out"), Workspace(out, "song") as work:
        shutil.rmtree(out)
        work.path("work.f32").write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b.wav", "a.b"), ("é" * 120 + ".wav", "é" * 90), (".wav", ".wav")]
)
def test_names(name: str, expected: str) -> None:
    assert job_name(Path(name)) == expected


@pytest.mark.parametrize("path", ["caf\udce9.wav", "caf\udce9/song.wav"])
def test_a_path_that_is_not_text_is_refused_with_the_remedy(path: str) -> None:
    with pytest.raises(InputError, match=r"not UTF-8\. Rename the file, or the folder") as caught:
        job_name(Path(path))
    str(caught.value).encode()  # so that the message itself can be printed and logged


def test_a_lasting_workspace_is_there_again_until_it_is_discarded(tmp_path: Path) -> None:
    with Workspace(tmp_path, "song", token="7") as work:
        work.path("source.f32").write_bytes(b"x")
    with Workspace(tmp_path, "other"):
        pass  # whose sweep leaves it alone
    with Workspace(tmp_path, "song", token="7") as again:
        assert again.path("source.f32").read_bytes() == b"x"
        again.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_where_a_lasting_workspace_should_be_is_not_followed(tmp_path: Path) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    (elsewhere / "mine").write_bytes(b"x")
    out.mkdir()
    link = out / ".song.stemfix.job-7"
    link.symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link"), Workspace(out, "song", token="7"):
        pass
    discard_job_folder(out, Path("song.wav"), "7")
    assert [path.name for path in elsewhere.iterdir()] == ["mine"]
    assert link.is_symlink()


def test_the_folder_of_a_job_that_ended_is_removed_from_outside(tmp_path: Path) -> None:
    with Workspace(tmp_path, "song", token="7") as work:
        work.path("source.f32").write_bytes(b"x")
    discard_job_folder(tmp_path, Path("/music/song.wav"), "7")
    discard_job_folder(tmp_path, Path("/music/song.wav"), "unknown")
    assert list(tmp_path.iterdir()) == []


def test_fresh_means_empty(tmp_path: Path) -> None:
    with Workspace(tmp_path, "song") as work:
        (work.fresh_folder("stems") / "drums.f32").write_bytes(b"x")
        work.fresh_file("source.f32").write_bytes(b"x")
        assert list(work.fresh_folder("stems").iterdir()) == []
        assert not work.fresh_file("source.f32").exists()

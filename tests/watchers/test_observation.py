from __future__ import annotations

import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import watchers.observation
from watchers.file_systems import file_system, needs_polling
from watchers.observation import Hints, Observation

Mount = namedtuple("Mount", "device mountpoint fstype opts")
Expect = Callable[[Callable[[set[str], bool], bool]], None]


@pytest.fixture(params=[False, True], ids=["native", "polled"])
def observed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Hints]]:
    monkeypatch.setattr(watchers.observation, "POLL_S", 0.1)
    real, folder = tmp_path / "real", tmp_path / "link"
    (real / "album").mkdir(parents=True)
    folder.symlink_to(real)
    hints = Hints()
    hints.take()
    observation = Observation(folder, True, request.param, hints)
    time.sleep(0.3)
    hints.take()
    assert observation.alive
    yield folder, hints
    observation.stop()
    assert not observation.alive


def expect(hints: Hints, path: Path | None) -> None:
    """Wait until the hints name `path`, or ask for a search if it is None."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        hints.wake.wait(0.1)
        paths, search = hints.take()
        if search if path is None else str(path) in paths:
            return
    raise AssertionError(path)


def test_hints_name_files_by_the_folders_own_path(observed: tuple[Path, Hints]) -> None:
    folder, hints = observed
    for path in (folder / "song.wav", folder / "album" / "läuft 🎸.wav"):
        path.write_bytes(b"1")
        expect(hints, path)
        path.write_bytes(b"22")
        expect(hints, path)
        path.rename(path.with_name("new.wav"))
        expect(hints, path.with_name("new.wav"))
        path.with_name("new.wav").unlink()
        expect(hints, path.with_name("new.wav"))
    (folder / "more").mkdir()
    expect(hints, None)


def test_results_give_no_reason_to_search(observed: tuple[Path, Hints]) -> None:
    folder, hints = observed
    (folder / ".song.stemfix.job-1").mkdir()
    (folder / ".song.stemfix.job-1").rename(folder / "song.stemfix")
    time.sleep(0.5)
    assert hints.take()[1] is False


def test_a_flood_of_hints_becomes_one_search() -> None:
    hints = Hints()
    assert hints.take() == (set(), True)
    for number in range(20_000):
        hints.add(str(number))
    paths, search = hints.take()
    assert search
    assert len(paths) == 0
    hints.add("a")
    assert hints.take() == ({"a"}, False)


def test_a_folder_that_is_not_there_can_not_be_observed(tmp_path: Path) -> None:
    for polled in (False, True):
        with pytest.raises(FileNotFoundError):
            Observation(tmp_path / "absent", False, polled, Hints())


@pytest.mark.parametrize(
    ("kind", "options", "polls"),
    [
        ("ext4", "rw", False),
        ("apfs", "rw,local", False),
        ("NTFS", "rw,fixed", False),
        ("fuseblk", "rw", False),
        ("nfs4", "rw", True),
        ("cifs", "rw", True),
        ("smbfs", "rw", True),
        ("9p", "rw", True),
        ("fuse.sshfs", "rw", True),
        ("fuse.rclone", "rw", True),
        ("NTFS", "rw,remote", True),
    ],
)
def test_network_file_systems_are_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, polls: bool
) -> None:
    mounts = [
        Mount("a", "/", "ext4", "rw"),
        Mount("b", str(tmp_path / "share"), kind, options),
        Mount("c", str(tmp_path / "share-2"), "ext4", "rw"),
        Mount("d", str(tmp_path), "ext4", "rw"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert needs_polling(tmp_path / "share" / "album") is polls
    assert needs_polling(tmp_path / "share") is polls
    assert not needs_polling(tmp_path / "share-2")
    assert file_system(tmp_path / "share")[0] == kind.lower()


def test_the_mount_on_top_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = [Mount("a", str(tmp_path), "autofs", "rw"), Mount("b", str(tmp_path), "nfs4", "rw")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    assert needs_polling(tmp_path)


def test_this_computers_own_mounts_can_be_asked(tmp_path: Path) -> None:
    assert isinstance(needs_polling(tmp_path), bool)


@pytest.mark.parametrize(
    ("poll", "network", "asked"),
    [("auto", False, [False]), ("auto", True, [True]), ("always", False, [True]), ("never", True, [False])],
)
def test_when_it_polls(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, poll: str, network: bool, asked: list[bool]
) -> None:
    monkeypatch.setattr("watchers.attachment.needs_polling", lambda folder: network)
    b = bench(poll=poll)
    polled: list[bool] = []
    nothing = b.observe

    def observe(folder: Path, recursive: bool, polls: bool, hints: Hints) -> Any:
        polled.append(polls)
        return nothing()

    b.observe = observe
    b.start()
    b.watch.tick()
    assert polled == asked
    assert b.watch.status().polled is asked[0]


def test_where_the_system_has_no_watches_left_it_polls(bench: Callable[..., Any]) -> None:
    b = bench()
    nothing = b.observe

    def observe(folder: Path, recursive: bool, polls: bool, hints: Hints) -> Any:
        if not polls:
            raise OSError(28, "inotify watch limit reached")
        return nothing()

    b.observe = observe
    b.start()
    b.watch.tick()
    assert b.watch.status().polled
    assert b.watch.status().state == "watching"

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daw_bridge.transaction import Transaction
from engine.errors import OutputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "changed").write_bytes(b"old")
    (folder / "gone").write_bytes(b"gone")
    return folder


def prepared(folder: Path) -> Transaction:
    transaction = Transaction()
    transaction.write(folder / "new" / "deep" / "file", b"new")
    transaction.write(folder / "changed", b"changed")
    transaction.remove(folder / "gone")
    transaction.write(folder / "last", b"last")
    return transaction


def test_all_of_it_happens(folder: Path, tree: Callable[[Path], object]) -> None:
    transaction = prepared(folder)
    assert transaction.changes == 4
    transaction.commit()
    assert transaction.changes == 0
    assert tree(folder) == {
        "changed": b"changed",
        "last": b"last",
        "new": None,
        os.path.join("new", "deep"): None,
        os.path.join("new", "deep", "file"): b"new",
    }


@pytest.mark.parametrize("step", range(3))
def test_a_failure_at_any_rename_leaves_everything_as_it_was(
    folder: Path, tree: Callable[[Path], object], step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(folder)
    calls = iter(range(100))
    replace = os.replace

    def fails(source: Path, target: Path) -> None:
        if next(calls) == step:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OutputError, match=r"No space left on device\. Nothing was changed"):
        prepared(folder).commit()
    assert tree(folder) == before


def test_an_interrupt_leaves_everything_as_it_was(
    folder: Path, tree: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(folder)

    def interrupted(path: Path, missing_ok: bool = False, unlink: Callable[..., None] = Path.unlink) -> None:
        if path.name == "gone":
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepared(folder).commit()
    assert tree(folder) == before


def test_a_folder_that_can_not_be_made_is_noticed_before_anything_changes(
    folder: Path, tree: Callable[[Path], object]
) -> None:
    (folder / "new").write_bytes(b"a file where a folder has to be")
    before = tree(folder)
    with pytest.raises(OutputError, match="Nothing was changed"):
        prepared(folder).commit()
    assert tree(folder) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
def test_links_and_modes_stay(folder: Path) -> None:
    (folder / "target").write_bytes(b"old")
    (folder / "target").chmod(0o640)
    (folder / "link").symlink_to("target")
    transaction = Transaction()
    transaction.write(folder / "link", b"new")
    transaction.commit()
    assert (folder / "link").is_symlink()
    assert (folder / "target").read_bytes() == b"new"
    assert stat.S_IMODE((folder / "target").stat().st_mode) == 0o640


def test_what_is_right_already_is_not_touched(folder: Path) -> None:
    os.utime(folder / "changed", ns=(1, 1))
    transaction = Transaction()
    transaction.write(folder / "changed", b"old")
    transaction.remove(folder / "never there")
    transaction.commit()
    assert (folder / "changed").stat().st_mtime_ns == 1

"""Publishing a file: the target is new, and a disk without hard links serves too."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.errors import OutputError
from engine.files import publish_file


@pytest.fixture(params=["links", "no links"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no links":
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("disk")
def test_a_file_moves_to_a_free_name(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("whole")
    publish_file(source, target)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
    assert target.exists()


@pytest.mark.usefixtures("disk")
def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_text("new")
    target.write_text("old")
    with pytest.raises(OutputError, match="b can't be written: it exists"):
        publish_file(source, target)
    assert (source.read_text(), target.read_text()) == ("new", "old")

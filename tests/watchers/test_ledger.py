from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from engine.errors import OutputError
from watchers.complete import Signature
from watchers.ledger import Entry, FileState, Ledger

SIGNATURE = Signature(1, 2, 2**100, 4)


def entry(path: str, **fields: object) -> Entry:
    return Entry(
        **{"path": path, "folder": "/in", "signature": SIGNATURE, "state": FileState.QUEUED, **fields}
    )  # type: ignore[arg-type]


def test_it_survives_a_restart_and_keeps_every_field(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "watch.sqlite")
    written = ledger.put(
        entry("/in/a.wav", message="m", digest="d", settings="s", job_id="j", same_as="/in/b", results="/r")
    )
    ledger.close()
    again = Ledger(tmp_path / "watch.sqlite")
    assert again.entry("/in/a.wav") == written
    assert again.known("/in") == {"/in/a.wav": (FileState.QUEUED, SIGNATURE)}
    assert again.open_jobs("/in") == ["j"]
    assert again.counts("/in") == {FileState.QUEUED: 1}
    again.forget("/in/a.wav")
    assert again.entry("/in/a.wav") is None
    again.close()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_it_is_private(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "watch.sqlite")
    ledger.put(entry("/in/a.wav"))
    files = list(tmp_path.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    ledger.close()


def test_twins_have_the_content_and_settings_and_a_job_that_did_not_fail(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "watch.sqlite")
    for state in FileState:
        ledger.put(entry(f"/in/{state.value}", digest="d", settings="s", state=state))
    ledger.put(entry("/in/other", digest="e", settings="s"))
    ledger.put(entry("/in/preset", digest="d", settings="t"))
    found = [twin.state.value for twin in ledger.twins("/in/done", "d", "s")]
    assert sorted(found) == ["claimed", "finished", "queued"]
    ledger.close()


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "watch.sqlite")
    path = os.fsdecode(b"/in/caf\xe9.wav")
    ledger.put(entry(path, message=path))
    assert list(ledger.known("/in")) == [path]
    found = ledger.entry(path)
    assert found is not None
    assert found.path == path
    ledger.close()


def test_a_newer_or_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "watch.sqlite"
    Ledger(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OutputError, match="newer stemfix"):
        Ledger(path)
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(OutputError, match="can't be used"):
        Ledger(path)

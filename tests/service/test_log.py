"""The log: private, of a bounded size, and the place for everything that no user should see."""

from __future__ import annotations

import logging
import stat
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.service import log
from engine.service.log import last_line, log_path, log_to_file, stop_log


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Handler]:
    """This process logs into a private data folder."""
    monkeypatch.setenv("STEMFIX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(log, "_BYTES", 5_000)
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    handler = log_to_file()
    yield handler
    stop_log(handler)


def test_it_is_private_and_its_size_is_bounded(handler: logging.Handler) -> None:
    for number in range(1_000):
        logging.getLogger("engine.test").info("line %s", number)
    files = list(log_path().parent.iterdir())
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) <= 15_000
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(log_path().parent.stat().st_mode) == 0o700
    assert last_line(log_path()).endswith("line 999")


def test_failures_of_threads_and_warnings_are_in_it(
    handler: logging.Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("not so good", stacklevel=1)
    text = log_path().read_text()
    assert "ValueError: in a thread" in text
    assert "not so good" in text
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_last_line_of_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert last_line(tmp_path / "none.log") == ""

"""log_lines: what a part of the program logs, as lines on stderr while it runs in the foreground."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from stemfix.console import say


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Show the line."""
        say(self.format(record), error=True)


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Without the traceback, which says nothing to a user."""
        return f"{self.formatTime(record, self.datefmt)} {record.getMessage()}"


@contextmanager
def log_lines(name: str, tracebacks: bool = False) -> Iterator[None]:
    """Within the block the news of the package `name` are shown, each with its time."""
    handler = _Lines()
    formatter = logging.Formatter if tracebacks else _OneLine
    handler.setFormatter(formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)

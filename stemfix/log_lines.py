"""log_lines: what a part of the program logs, as lines on stderr while it runs in the foreground."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from stemfix.console import say


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """One line; a traceback stays in a log file."""
        say(self.format(record), error=True)


@contextmanager
def log_lines(name: str) -> Iterator[None]:
    """Within the block the news of the package `name` are shown, each with its time."""
    handler = _Lines()
    formatter = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
    formatter.formatException = lambda exc_info: ""  # type: ignore[method-assign]
    handler.setFormatter(formatter)
    logger = logging.getLogger(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)

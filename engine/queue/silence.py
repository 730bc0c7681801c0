"""DBOS logs to the console unless somebody else takes its messages; this takes them."""

from __future__ import annotations

import logging


def silence_dbos() -> None:
    """Send what DBOS says to the program's own log, if it keeps one, and nowhere else."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())

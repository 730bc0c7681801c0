"""open_queue: the queue that the user's configuration names, for the commands that look at it or add jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.queue.client import QueueClient


def open_queue() -> QueueClient:
    """The queue, to be used in a `with` block; the engine need not run.

    Raises StemfixError if the configuration or the database can't be had.
    """
    from engine.config import load_config
    from engine.queue.client import QueueClient

    return QueueClient(load_config().engine.queue_url)

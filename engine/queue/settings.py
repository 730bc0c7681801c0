"""QueueSettings: where the queue's database is and how much of it this engine does at a time."""

from __future__ import annotations

import os
import platform

from pydantic import BaseModel, ConfigDict, Field

from engine.job import Device
from engine.paths import data_dir


def default_url() -> str:
    """The SQLite file in the user's data folder."""
    return f"sqlite:///{data_dir() / 'queue.sqlite'}"


class QueueSettings(BaseModel):
    """What a runner needs to know; the defaults are right for one computer."""

    model_config = ConfigDict(frozen=True)

    #: `sqlite:///<path>`, or `postgresql://...` where several machines share one queue.
    url: str = Field(default_factory=default_url)
    #: Jobs whose stems are enhanced and written at the same time, beside the one that separates.
    cpu_workers: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=1)
    #: The device of jobs that leave the choice to the engine.
    device: Device = "auto"
    #: This engine's name in the database: what it had begun is its own to resume.
    executor: str = Field(default_factory=lambda: platform.node() or "local")

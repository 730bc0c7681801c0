"""The parts that `stemfix up` runs: a table, and what is known of each."""

from __future__ import annotations

import sys
import time

from engine.config import Config
from stemfix.supervisor import Part


def parts(config: Config) -> list[Part]:
    """The parts that this configuration asks for, in the order in which they are started.

    Raises OptionError for a table of the configuration that can't be used.
    """
    found = [Part("engine", _command("engine"), elsewhere=_engine)]
    if config.count("watch"):
        from watchers.settings import WatchSettings, check_together

        check_together(config.tables("watch", WatchSettings))
        found.append(Part("watch", _command("watch"), elsewhere=_watch))
    if config.osc.enabled:
        found.append(Part("osc", _command("osc")))
    if config.reaper.import_renders != "off":
        found.append(Part("reaper", _command("reaper", "round-trip")))
    return found


def _command(*names: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "stemfix", *names, "--supervised")


def _engine() -> int | None:
    from engine.spool.client import engine_alive

    beat = engine_alive()
    return None if beat is None else beat.pid


def _watch() -> int | None:
    import psutil

    from watchers.status import HEARTBEAT_S, read_heartbeat

    beat = read_heartbeat()
    fresh = (
        beat is not None and abs(time.time() - beat.time) < 5 * HEARTBEAT_S and psutil.pid_exists(beat.pid)
    )
    return beat.pid if beat is not None and fresh else None

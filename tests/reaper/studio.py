"""What a test needs: a REAPER with a saved project, an engine that answers it, and music."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from engine_stand_in import StandInEngine
from model import Project
from reaper import Reaper


@dataclass
class Studio:
    """What a test needs: a REAPER with one saved project, and the engine."""

    reaper: Reaper
    engine: StandInEngine
    folder: Path

    @property
    def project(self) -> Project:
        return self.reaper.projects[0]

    def run(
        self,
        action: str = "Enhance selected item",
        on_tick: Callable[[int], None] | None = None,
        **options: Any,
    ) -> int:
        """Run an action with the engine at work; fails where the script did anything that it must not."""

        def both(number: int) -> None:
            if on_tick:
                on_tick(number)
            if number % 4 == 0:
                self.engine.step()

        ticks = self.reaper.run(action, both, **options)
        assert self.reaper.violations == []
        return ticks

    def song(
        self, name: str = "song ünï.wav", seconds: float = 6.0, rate: int = 48000, channels: int = 2
    ) -> str:
        """A file of noise."""
        path = self.folder / name
        noise = np.random.default_rng(1).standard_normal((round(seconds * rate), channels)) * 0.1
        subtypes = {".wav": "DOUBLE", ".flac": "PCM_24"}
        soundfile.write(path, noise, rate, subtype=subtypes.get(path.suffix))
        return str(path)

    def tracks(self) -> list[str]:
        return [track.name for track in self.project.tracks]


def make_studio(lua: Any, folder: Path) -> Studio:
    data = folder / "data dir ü"
    (data / "spool").mkdir(parents=True)
    (data / "python").touch()
    reaper = Reaper(lua, data)
    reaper.open(str(folder / "projéct" / "song.rpp"), folder / "projéct")
    engine = StandInEngine(data)
    engine.step()
    return Studio(reaper, engine, folder)

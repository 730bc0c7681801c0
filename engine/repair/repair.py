"""Repair: an effect that looks for one kind of damage and leaves a recording alone where there is none."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel

from engine.processors.processor import Processor

#: So many places of damage go into a report; a count of all of them goes with them.
MAX_PLACES = 200


class Place(BaseModel):
    """Where damage was found: a stretch of time, and a band where it does not fill the spectrum."""

    start_s: float
    end_s: float
    low_hz: float | None = None
    high_hz: float | None = None


class Repair(Processor):
    """A processor whose `analyse` is a detector: it returns None, "nothing here", on undamaged sound.

    Channels are judged together, so that a stereo image never moves. `describe` returns `damage_report`.
    """

    #: What it repairs, in a word or two.
    artifact: ClassVar[str]
    #: True if it adds sound that was never recorded.
    synthetic: ClassVar[bool] = False

    def damage_report(self, found: str, done: str, places: list[Place], **figures: float) -> dict[str, Any]:
        """The report of a repair: a sentence each on what was found and done, where, and its figures."""
        shown = [place.model_dump(exclude_none=True) for place in places[:MAX_PLACES]]
        return {
            "artifact": self.artifact,
            "synthetic": self.synthetic,
            "found": found,
            "done": done,
            "places": shown,
            "places_total": len(places),
            "figures": {name: round(value, 6) for name, value in figures.items()},
        }

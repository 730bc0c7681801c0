"""TimeRange: the part of a recording that `--range START:END` names, turned into whole frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from engine.errors import OptionError

_NUMBER = r"[0-9]{1,12}(?:\.[0-9]{1,12})?"
_SECONDS = re.compile(rf"({_NUMBER})s?")
_CLOCK = re.compile(rf"(?:([0-9]{{1,6}})h)?(?:([0-9]{{1,6}})m)?(?:({_NUMBER})s)?")
_FRAMES = re.compile(r"([0-9]{1,15})f")
_HELP = "Write START:END such as 12.5:30, 1m02.5s:2m, :30, 10: or 44100f:88200f."


@dataclass(frozen=True)
class Point:
    """A place in a recording: a frame number, or exact seconds."""

    value: Fraction
    in_frames: bool

    def frame(self, sample_rate: int) -> int:
        """The nearest frame at `sample_rate` Hz; a half goes up."""
        if self.in_frames:
            return int(self.value)
        return int(self.value * sample_rate + Fraction(1, 2))


@dataclass(frozen=True)
class TimeRange:
    """From `start` to `stop`; None stands for the recording's own beginning or end."""

    start: Point | None = None
    stop: Point | None = None

    @classmethod
    def parse(cls, text: str) -> TimeRange:
        """Read `START:END`. Exact arithmetic throughout. Raises OptionError with one sentence."""
        parts = text.strip().split(":")
        if len(parts) > 2:
            raise OptionError(
                f"The range '{text}' has more than one colon.",
                "The colon stands between start and end: write minutes as 1m02.5s, so 1m02.5s:2m.",
            )
        if len(parts) < 2 or not any(parts):
            raise OptionError(f"'{text}' is not a range.", _HELP)
        start, stop = (_point(part.strip(), text) if part.strip() else None for part in parts)
        if start is None and stop is None:
            raise OptionError(f"'{text}' is not a range.", _HELP)
        if start and stop and start.in_frames == stop.in_frames and start.value >= stop.value:
            raise OptionError(f"The range '{text}' is empty.", "Its end must come after its start.")
        return cls(start, stop)

    def frames(self, sample_rate: int) -> tuple[int | None, int | None]:
        """Start and stop in frames at `sample_rate` Hz. Raises OptionError if nothing lies between them."""
        start = None if self.start is None else self.start.frame(sample_rate)
        stop = None if self.stop is None else self.stop.frame(sample_rate)
        if stop is not None and (start or 0) >= stop:
            raise OptionError(
                f"The range holds no frame at {sample_rate} Hz.", "Its end must come after its start."
            )
        return start, stop


def _point(text: str, whole: str) -> Point:
    if found := _FRAMES.fullmatch(text):
        return Point(Fraction(found[1]), in_frames=True)
    if found := _SECONDS.fullmatch(text):
        return Point(Fraction(found[1]), in_frames=False)
    found = _CLOCK.fullmatch(text)
    if not found:
        raise OptionError(f"'{text}' in the range '{whole}' is not a time.", _HELP)
    hours, minutes, seconds = (Fraction(part or 0) for part in found.groups())
    if (found[2] and seconds >= 60) or (found[1] and minutes >= 60) or (found[1] and seconds >= 60):
        raise OptionError(
            f"'{text}' in the range '{whole}' counts past 60.",
            "Minutes after hours, and seconds after minutes, stay below 60.",
        )
    return Point(hours * 3600 + minutes * 60 + seconds, in_frames=False)

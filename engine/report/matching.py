"""match_gains_db: gains that make versions equally loud, so that the louder one does not win.

All are brought down to the quietest, never up: no version clips that did not before. A true peak above
full scale lowers the target further, because a player would clip it and not the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """Integrated loudness in LUFS and true peak in dBTP; None in silence."""

    lufs: float | None
    true_peak_db: float | None = None


def match_gains_db(levels: Mapping[str, Level]) -> dict[str, float]:
    """One gain in dB, at most 0, per version; 0 for one whose loudness is not defined.

    >>> match_gains_db({"a": Level(-14.0, -1.0), "b": Level(-16.0, -3.0), "c": Level(None)})
    {'a': -2.0, 'b': 0.0, 'c': 0.0}
    >>> match_gains_db({"a": Level(-10.0, 2.0), "b": Level(-10.0, -1.0)})
    {'a': -2.0, 'b': -2.0}
    """
    targets = [
        level.lufs - max(level.true_peak_db or 0.0, 0.0)
        for level in levels.values()
        if level.lufs is not None
    ]
    target = min(targets, default=0.0)
    return {
        name: 0.0 if level.lufs is None else round(target - level.lufs, 3) + 0.0
        for name, level in levels.items()
    }

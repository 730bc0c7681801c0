"""Declick: takes clicks and dropouts of up to 1.5 ms out and fills in what is foretold there."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from engine.audio.buffer import Audio, AudioBuffer
from engine.repair.click_detector import REACH, Clicks, find_clicks
from engine.repair.prediction import interpolate
from engine.repair.repair import Place, Repair

#: Order of the prediction that fills in; higher than the detector's, there are few places.
_ORDER = 48


class Declick(Repair):
    """Samples of a click are interpolated from both sides, in the channels that have it; no other changes."""

    effect: ClassVar[str] = "declick"
    artifact: ClassVar[str] = "clicks"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.1

    def analyse(self, source: AudioBuffer) -> tuple[Clicks, int] | None:
        """Where the clicks are; None if none is certain."""
        clicks = find_clicks(source)
        return None if clicks is None else (clicks, source.sample_rate)

    def render(self, block: Audio, start: int, sample_rate: int, found: tuple[Clicks, int]) -> Audio:
        """The block with its clicks filled in."""
        clicks = found[0]
        reach = max(round(REACH * sample_rate / 44_100), 2 * _ORDER)
        result: Audio = block.copy()
        damaged = np.zeros(block.shape, bool)
        whole = (clicks.start - reach >= start) & (clicks.stop + reach <= start + block.shape[1])
        here = np.flatnonzero((clicks.stop > start) & (clicks.start < start + block.shape[1]))
        for index in here:
            damaged[
                clicks.channel[index], max(clicks.start[index] - start, 0) : clicks.stop[index] - start
            ] = True
        for index in np.flatnonzero(whole):
            channel, first, last = (
                clicks.channel[index],
                clicks.start[index] - start,
                clicks.stop[index] - start,
            )
            part = slice(first - reach, last + reach)
            # Other clicks nearby are filled in with it, so that they don't shape the prediction.
            filled, _ = interpolate(block[channel, part].astype(np.float64), damaged[channel, part], _ORDER)
            result[channel, first:last] = filled[reach : reach + last - first]
        return result

    def describe(self, found: tuple[Clicks, int]) -> dict[str, Any]:
        """How many clicks, how high, and where."""
        clicks, sample_rate = found
        spans = sorted({(int(a), int(b)) for a, b in zip(clicks.start, clicks.stop, strict=True)})
        places = [Place(start_s=round(a / sample_rate, 4), end_s=round(b / sample_rate, 4)) for a, b in spans]
        highest = float(clicks.height_db.max())
        count = clicks.start.size
        return self.damage_report(
            f"{count} click{'s' if count > 1 else ''} of less than 1.5 ms; the highest is {highest:.0f} dB "
            "against the recording's level.",
            "Each was cut out and filled in from the sound on both sides.",
            places,
            clicks=count,
            highest_db=highest,
        )

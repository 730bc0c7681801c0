"""PhaseRepair: a channel that is late or turned over against the other one is put back in step.

A converter, a tape head that leans or a plug-in without compensation delays one channel by a fraction of a
sample or by many; a wrongly soldered plug turns it over. In mono both cancel what the channels share. Wide
music is nothing of the kind: its channels agree on no single delay over the whole spectrum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engine.alignment.correct import checked_delay, fractional_delay_taps
from engine.alignment.estimate import estimate_alignment
from engine.audio.buffer import Audio, AudioBuffer
from engine.audio.channel_view import ChannelView
from engine.errors import AlignmentError
from engine.repair.repair import Place, Repair

#: Delays between channels that are looked for. A pair of microphones further apart is no mistake.
_LARGEST_S = 0.005
#: An asymmetric equaliser looks like less than this.
_LEAST_SAMPLES = 0.25
#: Of what the channels hold, this much they share with steady phases.
_LEAST_COHERENCE = 0.5


@dataclass
class _Found:
    """Which channel to advance by how many samples, and whether to turn it over."""

    moved: int
    whole: int
    taps: npt.NDArray[np.float64] | None
    delay_samples: float
    turned: bool
    confidence: float
    end_s: float
    sample_rate: int


class PhaseRepair(Repair):
    """The later of two channels is moved to the earlier one, and turned where the two are upside down.

    The earlier one stays as it is, to the bit. It fires only where one delay and one polarity hold for the
    whole spectrum and the whole recording; see `engine.alignment.correct` for the limits and for the shift.
    """

    effect: ClassVar[str] = "phase_repair"
    artifact: ClassVar[str] = "channels out of step"
    linear: ClassVar[bool] = True
    #: Half of the interpolator at the lowest rate, and the largest delay.
    context_s: ClassVar[float] = 8192 / 8000 + _LARGEST_S + 0.001

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """Measure how the second channel lies against the first."""
        if source.channels != 2:
            return None
        largest = max(int(_LARGEST_S * source.sample_rate), 1)
        try:
            found = estimate_alignment(ChannelView(source, 0), ChannelView(source, 1), max_lag=largest)
            if found.identical or found.coherence < _LEAST_COHERENCE:
                return None
            delay = checked_delay(found)
        except AlignmentError:
            return None
        delay = delay if _LEAST_SAMPLES <= abs(delay) <= largest else 0.0
        if delay == 0.0 and found.polarity > 0:
            return None
        whole = int(np.floor(abs(delay)))
        return _Found(
            moved=1 if delay >= 0 else 0,
            whole=whole,
            taps=fractional_delay_taps(abs(delay) - whole) if delay else None,
            delay_samples=delay,
            turned=found.polarity < 0,
            confidence=found.confidence,
            end_s=source.frames / source.sample_rate,
            sample_rate=source.sample_rate,
        )

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """The block with one channel advanced, turned, or both."""
        result = block.copy()
        late = block[found.moved]
        if found.taps is not None:
            from scipy.signal import oaconvolve

            late = oaconvolve(late.astype(np.float64), found.taps, mode="same")
        if found.whole:
            late = np.concatenate((late[found.whole :], np.zeros(found.whole)))
        result[found.moved] = -late if found.turned else late
        repaired: Audio = result
        return repaired

    def describe(self, found: _Found) -> dict[str, Any]:
        """The delay and the polarity."""
        seen, done = [], []
        channel, other = ("left", "right")[found.moved], ("right", "left")[found.moved]
        if found.delay_samples:
            ms = 1000 * abs(found.delay_samples) / found.sample_rate
            seen.append(f"the {channel} channel {abs(found.delay_samples):.2f} samples ({ms:.3f} ms) late")
            done.append(f"the {channel} channel moved earlier")
        if found.turned:
            seen.append(f"the {channel} channel turned over against the {other}")
            done.append(f"the {channel} channel turned back")
        return self.damage_report(
            " and ".join(seen),
            " and ".join(done),
            [Place(start_s=0.0, end_s=found.end_s)],
            delay_samples=found.delay_samples,
            polarity=-1.0 if found.turned else 1.0,
            confidence=found.confidence,
            kept_channel=1 - found.moved,
        )


def kept_channel(reports: Sequence[Mapping[str, Any]]) -> int | None:
    """The channel that stayed where it was, if a repair among those that reported moved the other one."""
    for report in reports:
        if report.get("effect") == PhaseRepair.effect and report.get("applied"):
            return int(report["figures"]["kept_channel"])
    return None

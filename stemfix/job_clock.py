"""JobClock: how far a job is, how fast, and when it will be done, from what its stages report."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import accumulate

from engine.progress import STAGES, Stage

#: Share of a job's time per stage, as measured on a CPU; only the bar's evenness hangs on it.
SHARES: dict[Stage, float] = {
    "read": 0.02,
    "repair": 0.03,
    "separate": 0.75,
    "enhance": 0.12,
    "align": 0.05,
    "publish": 0.03,
}
#: Share of the stages before each, added up as `fraction` adds: another rounding would let the bar go back.
_BEFORE = dict(zip(STAGES, accumulate((SHARES[stage] for stage in STAGES[:-1]), initial=0.0), strict=True))
#: A pace that was watched for less time says nothing.
_LEAST_S = 0.5


class JobClock:
    """Told of each update; asked at any time. `seconds` is the length of the recording, None if unknown."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self.stage: Stage = STAGES[0]
        self._stage_began = self._updated = clock()
        self._stage_fraction = 0.0

    def update(self, stage: Stage, done: int, total: int) -> None:
        """`done` of `total` units of `stage` are finished."""
        now = self._clock()
        if stage != self.stage:
            self.stage = stage
            # A stage that first speaks after its first unit began when the one before it ended.
            self._stage_began = now if done == 0 else self._updated
        self._updated = now
        self._stage_fraction = min(max(done / total, 0.0), 1.0) if total > 0 else 1.0

    @property
    def fraction(self) -> float:
        """Of the whole job, from 0 to 1."""
        return min(_BEFORE[self.stage] + SHARES[self.stage] * self._stage_fraction, 1.0)

    @property
    def speed(self) -> float | None:
        """Of the current stage, in seconds of audio per second; None until it can be told."""
        elapsed = self._clock() - self._stage_began
        if self._seconds is None or elapsed < _LEAST_S or self._stage_fraction == 0:
            return None
        return self._seconds * self._stage_fraction / elapsed

    @property
    def seconds_left(self) -> float | None:
        """Until the job is done, from the current stage's pace; None until it can be told."""
        elapsed = self._clock() - self._stage_began
        if elapsed < _LEAST_S or self._stage_fraction == 0:
            return None
        whole_stage = elapsed / self._stage_fraction
        after = sum(SHARES[stage] for stage in STAGES[STAGES.index(self.stage) + 1 :])
        return whole_stage * (1 - self._stage_fraction) + whole_stage / SHARES[self.stage] * after

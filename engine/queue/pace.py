"""Pace: how long each stage of a job will take, from how long it took the jobs before."""

from __future__ import annotations

import threading

from engine.progress import STAGES, Stage

#: Seconds per second of audio until a job was measured; only their proportions matter much.
_FIRST_GUESS: dict[Stage, float] = {
    "read": 0.02,
    "repair": 0.03,
    "separate": 1.0,
    "enhance": 0.15,
    "align": 0.08,
    "publish": 0.05,
}
#: How much the newest measurement counts.
_NEWEST = 0.5


class Pace:
    """Seconds of work per second of audio, stage by stage. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._measured: dict[Stage, float] = {}

    def learn(self, stage: Stage, seconds: float, audio_s: float) -> None:
        """A stage took so long for so much audio."""
        if audio_s <= 0:
            return
        with self._lock:
            rate = seconds / audio_s
            self._measured[stage] = _NEWEST * rate + (1 - _NEWEST) * self._measured.get(stage, rate)

    def seconds(self, stage: Stage, audio_s: float) -> float:
        """What the stage is expected to take."""
        with self._lock:
            if stage in self._measured:
                return self._measured[stage] * audio_s
            # A stage never measured is taken to miss its guess as those did that were.
            guessed = sum(_FIRST_GUESS[known] for known in self._measured)
            scale = sum(self._measured.values()) / guessed if guessed else 1.0
            return _FIRST_GUESS[stage] * scale * audio_s

    def known(self, stage: Stage) -> bool:
        """Whether the stage was ever measured."""
        with self._lock:
            return stage in self._measured

    def before(self, stage: Stage, audio_s: float) -> float:
        """Seconds that the stages before this one are expected to take together."""
        return sum(self.seconds(earlier, audio_s) for earlier in STAGES[: STAGES.index(stage)])

    def after(self, stage: Stage, audio_s: float) -> float:
        """Seconds that the stages after this one are expected to take together."""
        return sum(self.seconds(later, audio_s) for later in STAGES[STAGES.index(stage) + 1 :])

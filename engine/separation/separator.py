"""The Separator protocol: what every separation model looks like to the rest of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from engine.audio.buffer import Audio, AudioBuffer

#: How near a separation stays to the model's arithmetic in 32 bits: `full` at least 80 dB SNR from it,
#: `reduced` at least 35 dB, which is where 16-bit arithmetic may be used if the machine has it.
Precision = Literal["full", "reduced"]


class SeparationOptions(BaseModel):
    """What may be chosen about a separation; part of a job's key and the stem cache's.

    The keys say which precision was promised, not what computed it: two machines, or one before and after it
    was tuned, may differ in bits, but never by more than the promise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Share of a segment that overlaps the next one.
    overlap: float = Field(0.25, ge=0.0, lt=1.0)
    #: Random time shifts to average over; 0 for none. Cost grows with it.
    shifts: int = Field(1, ge=0, le=64)
    #: Seconds per segment; None takes the length that the model was trained on.
    segment_s: float | None = Field(None, gt=0.0)
    #: The least that what computes must keep.
    precision: Precision = "full"


class Separator(Protocol):
    """A loaded model. `separate` is deterministic: same audio and seed, same samples."""

    @property
    def name(self) -> str:
        """The model's name in the registry, such as `htdemucs`."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """The stems in the order in which blocks hold them."""
        ...

    @property
    def sample_rate(self) -> int:
        """The rate in Hz that the model works at; `separate` takes audio at no other."""
        ...

    @property
    def channels(self) -> int:
        """The channel count that the model works with (2)."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over the model's weights: the same digest means the same model."""
        ...

    @property
    def options(self) -> SeparationOptions:
        """The options that `separate` follows."""
        ...

    def separate(
        self,
        audio: AudioBuffer,
        seed: int,
        progress: Callable[[int, int], None],
        cancel: Callable[[], None],
    ) -> Iterator[tuple[int, Audio]]:
        """Yield `(start, block)` in order, blocks of shape (sources, channels, n) that cover `audio` once.

        Args:
            audio: the mix at `sample_rate` Hz with `channels` channels.
            seed: of the random shifts.
            progress: called with (segments done, segments in all).
            cancel: called before each segment; it raises `Cancelled` to stop.
        """
        ...

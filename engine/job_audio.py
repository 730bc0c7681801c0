"""JobAudio: the audio that a job's steps leave in its work folder for the steps after them."""

from __future__ import annotations

from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.steps import Enhanced, Repaired, Separated
from engine.workspace import Workspace
from presets.preset import SONG


class JobAudio:
    """Buffers of one shape in `work`; none is opened before it is asked for."""

    def __init__(self, work: Workspace, channels: int, frames: int, sample_rate: int) -> None:
        self._work = work
        self._shape = channels, frames, sample_rate

    @property
    def source(self) -> AudioBuffer:
        """The range of the source."""
        return self._buffer(self._work.path("source.f32"))

    @property
    def mix(self) -> AudioBuffer:
        """The enhanced mix."""
        return self._buffer(self._work.path("enhanced", "mix.f32"))

    def recording(self, repaired: Repaired) -> AudioBuffer:
        """What is separated, and what the stems sum to: the source, or the source repaired."""
        return self._buffer(self._work.path("repair", "repaired.f32")) if repaired.changed else self.source

    def stems(self, separated: Separated) -> dict[str, AudioBuffer]:
        """The stems before their chains."""
        if separated.stems == (SONG,):  # of a song that was not separated
            return {SONG: self.recording(separated.repaired)}
        return {stem: self._buffer(self._work.path("stems", f"{stem}.f32")) for stem in separated.stems}

    def enhanced(self, enhanced: Enhanced) -> dict[str, AudioBuffer]:
        """The stems after their chains; those without one are what they were."""
        stems = self.stems(enhanced.separated)
        for stem in enhanced.changed:
            stems[stem] = self._buffer(self._work.path("enhanced", f"{stem}.f32"))
        return stems

    def _buffer(self, path: Path) -> AudioBuffer:
        return AudioBuffer.open(path, *self._shape)

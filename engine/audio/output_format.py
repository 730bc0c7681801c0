"""The file formats that stems and mixes are delivered in."""

from __future__ import annotations

from enum import Enum


class OutputFormat(str, Enum):
    """Container and sample type of an output file."""

    FLOAT32 = "float32"
    PCM24 = "pcm24"
    PCM16 = "pcm16"
    FLAC24 = "flac24"
    FLAC16 = "flac16"

    @property
    def extension(self) -> str:
        """File name extension with its dot."""
        return ".flac" if self in (OutputFormat.FLAC24, OutputFormat.FLAC16) else ".wav"

    @property
    def bits(self) -> int:
        """Bits per sample."""
        return {"float32": 32, "pcm24": 24, "pcm16": 16, "flac24": 24, "flac16": 16}[self.value]

    @property
    def is_float(self) -> bool:
        """True where samples are stored exactly as computed."""
        return self is OutputFormat.FLOAT32

"""SpeechDenoise: noisereduce's spectral gate with the noise of the pauses, for speech and never for music.

Source: T. Sainburg, noisereduce (stationary spectral gating). Without a noise passage it takes the signal
itself for noise and harms whatever it gets, so this effect does nothing where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.noise_profile import measure_noise
from engine.processors.processor import Processor
from engine.processors.stft import window_length

#: More of the pauses does not make the threshold better.
_MAX_NOISE_S = 10.0


@dataclass(frozen=True)
class _Found:
    noise: Audio
    level_db: float


class SpeechDenoise(Processor):
    """Gates what lies below the noise of the pauses, bin by bin; only where pauses hold steady noise."""

    effect: ClassVar[str] = "speech_denoise"
    linear: ClassVar[bool] = False
    context_s: ClassVar[float] = 0.3

    reduction: float = Field(0.8, ge=0.0, le=1.0, description="share of the gated sound that is taken away")
    threshold_std: float = Field(
        1.5, ge=0.0, le=4.0, description="how many standard deviations above the noise the gate opens"
    )

    def analyse(self, source: AudioBuffer) -> _Found | None:
        """The noise of the pauses, at most 10 s of it."""
        profile = measure_noise(source)
        if profile is None or not profile.pauses:
            return None
        wanted = int(_MAX_NOISE_S * source.sample_rate)
        parts: list[Audio] = []
        for start, stop in profile.pauses:
            parts.append(source.read(start, min(stop, start + wanted)))
            wanted -= parts[-1].shape[1]
            if wanted <= 0:
                break
        return _Found(np.concatenate(parts, axis=1), profile.level_db)

    def render(self, block: Audio, start: int, sample_rate: int, found: _Found) -> Audio:
        """Each channel against its own noise: noisereduce would share one threshold."""
        import noisereduce

        out = np.empty_like(block)
        for channel, noise in zip(range(block.shape[0]), found.noise, strict=True):
            # Digital silence is at no level at all, and the gate's logarithm of it warns.
            if not block[channel].any() or not noise.any():
                out[channel] = block[channel]
                continue
            # One chunk, since noisereduce's own change the result at their edges; all of the noise, since it
            # would cut that to a chunk's length.
            out[channel] = noisereduce.reduce_noise(
                y=block[channel],
                sr=sample_rate,
                y_noise=noise,
                clip_noise_stationary=False,
                stationary=True,
                prop_decrease=self.reduction,
                n_std_thresh_stationary=self.threshold_std,
                n_fft=window_length(sample_rate, 0.0232),
                chunk_size=block.shape[1],
                padding=0,
            )
        return out

    def describe(self, found: _Found) -> dict[str, Any]:
        """The noise's level in the pauses."""
        return {"noise_db": round(found.level_db, 1)}

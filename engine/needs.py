"""What a job will need: the stems that are wanted of a model, and room on the disk."""

from __future__ import annotations

from engine.errors import OptionError
from engine.job import JobSpec
from engine.models import WHOLE, ModelHandle
from engine.separation.stems import RESIDUAL

#: Buffers of the source's size that a job has on the disk at its peak, counted generously.
_BUFFERS_AT_PEAK = 20


def wanted_stems(spec: JobSpec, model: ModelHandle) -> tuple[str, ...]:
    """The stems to enhance and deliver, in the model's order. Raises OptionError for one it does not have."""
    whole = model.name == WHOLE
    available = (*model.sources, RESIDUAL) if spec.residual == "stem" and not whole else model.sources
    if spec.stems is None:
        return available
    for stem in spec.stems:
        if stem not in available:
            if whole:
                raise OptionError(
                    f"The preset '{spec.preset}' works on the whole song, which has no stem '{stem}'.",
                    "To have it separated choose a quality, such as --quality standard.",
                )
            raise OptionError(
                f"The model '{model.name}' has no stem '{stem}'.", f"It has {', '.join(available)}."
            )
    return tuple(stem for stem in available if stem in spec.stems)


def disk_needed(frames: int, channels: int) -> int:
    """Bytes that a job of this size needs at its peak."""
    return _BUFFERS_AT_PEAK * 4 * channels * frames

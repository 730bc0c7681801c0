"""The enhanced mix: the sum of the stems at the loudness that is wanted, under a true-peak ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio.buffer import BLOCK_FRAMES, AudioBuffer
from engine.audio.loudness import measure_loudness, measure_lufs
from engine.processors.chain import run_chain
from engine.processors.limiter import Limiter
from engine.processors.presets import processors
from engine.progress import Progress
from presets.preset import MixSettings

#: The loudness is brought back once more where limiting took more than this away.
_LOUDNESS_TOLERANCE_LU = 0.1
#: A song that the limiter would have to squash to stay loud is left softer instead.
_MAX_MAKEUP_DB = 1.0
#: More than that is no correction of loudness: it would lift the noise of a recording that is nearly empty.
_MAX_GAIN_DB = 24.0


def sum_buffers(parts: Sequence[AudioBuffer], into: AudioBuffer, gain_db: float = 0.0) -> None:
    """Write the sum of `parts` (same shapes), times a gain, into `into`; summed in float64."""
    gain = 10 ** (gain_db / 20)
    for start in range(0, into.frames, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, into.frames)
        total = np.zeros((into.channels, stop - start))
        for part in parts:
            total += part.read(start, stop)
        into.write(start, total * gain if gain_db else total)


def make_mix(
    stems: Sequence[AudioBuffer],
    source: AudioBuffer,
    settings: MixSettings,
    folder: Path,
    progress: Progress,
) -> tuple[AudioBuffer, dict[str, Any]]:
    """Sum the stems, run the mix chain, give it the wanted loudness, limit; the mix and its report."""
    total = source.like(folder / "mix-sum.f32")
    sum_buffers(stems, total)
    mix, reports = run_chain(processors(settings.chain), total, folder / "mix-chain.f32", folder, progress)

    original = measure_loudness(source)
    wanted = original.lufs if settings.keep_loudness else settings.target_lufs
    found = measure_lufs(mix) if wanted is not None else None
    gain_db = wanted - found if wanted is not None and found is not None else 0.0
    gain_db = max(min(gain_db, _MAX_GAIN_DB), -_MAX_GAIN_DB)
    ceiling_db = settings.true_peak_db
    final, limited = _finished(mix, gain_db, ceiling_db, folder, 0, progress)
    measured = measure_loudness(final)
    lost = wanted - measured.lufs if wanted is not None and measured.lufs is not None else 0.0
    if ceiling_db is not None and lost > _LOUDNESS_TOLERANCE_LU:
        gain_db += min(lost, _MAX_MAKEUP_DB)
        final, limited = _finished(mix, gain_db, ceiling_db, folder, 1, progress)
        measured = measure_loudness(final)
    reports = [*reports, *limited]
    loudness = {"source": asdict(original), "mix": asdict(measured)}
    return final, {"gain_db": round(gain_db, 3), "chain": reports, "loudness": loudness}


def _finished(
    mix: AudioBuffer, gain_db: float, ceiling_db: float | None, folder: Path, attempt: int, progress: Progress
) -> tuple[AudioBuffer, list[dict[str, Any]]]:
    """`mix` with the gain, and below the ceiling; `mix` itself where there is nothing to change."""
    loud = mix
    if gain_db != 0.0:
        loud = mix.like(folder / f"mix-gained-{attempt}.f32")
        sum_buffers([mix], loud, gain_db)
    if ceiling_db is None:
        return loud, []
    limiter = Limiter(ceiling_db=ceiling_db)
    return run_chain([limiter], loud, folder / f"mix-limited-{attempt}.f32", folder, progress)

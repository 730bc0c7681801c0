"""measure_file: the measures of an audio file, by itself and against the file that it should be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.audio.probe import SourceInfo, probe
from engine.audio.read import read_audio
from engine.errors import OptionError
from engine.metrics.bss_eval import has_museval
from engine.metrics.summary import Metrics, compare, describe
from engine.progress import Progress


def measure_file(
    path: Path,
    workdir: Path,
    reference: Path | None = None,
    interferers: Sequence[Path] = (),
    *,
    with_bss_eval: bool | None = None,
    with_speech: bool = False,
    progress: Progress | None = None,
) -> Metrics:
    """Measure the file at `path`; temporary buffers go into `workdir`, which must exist.

    Args:
        path: what is measured.
        workdir: room for a copy of every file as float32.
        reference: what it is held against, with the same rate, channels and length.
        interferers: the other true stems of the mix, like `reference`.
        with_bss_eval: SDR, ISR, SIR and SAR; by default where museval is installed.
        with_speech: PESQ and STOI.
        progress: asked for cancellation.

    Raises:
        InputError: a file can't be read or is silent.
        OptionError: two files don't fit together, or a package is missing.
    """
    progress = progress or Progress()
    info = probe(path)
    others = [probe(other) for other in ([] if reference is None else [reference, *interferers])]
    for other in others:
        _require_same_shape(info, other)
    buffer = _read(info, workdir / "file.f32", progress)
    found = describe(buffer, progress=progress)
    if not others:
        return found
    truth, *rest = (_read(other, workdir / f"other-{n}.f32", progress) for n, other in enumerate(others))
    against = compare(
        buffer,
        truth,
        interferers=rest,
        with_bss_eval=has_museval() if with_bss_eval is None else with_bss_eval,
        with_speech=with_speech,
        progress=progress,
    )
    return found.model_copy(update={"against_reference": against})


def _read(info: SourceInfo, path: Path, progress: Progress) -> AudioBuffer:
    return read_audio(info, 0, info.frames, path, progress)


def _require_same_shape(ours: SourceInfo, theirs: SourceInfo) -> None:
    """One sentence on the first thing that differs."""
    for what, mine, other in (
        ("Hz", ours.sample_rate, theirs.sample_rate),
        ("channel(s)", ours.channels, theirs.channels),
        ("frames", ours.frames, theirs.frames),
    ):
        if mine != other:
            raise OptionError(
                f"{theirs.path} has {other} {what} and {ours.path} has {mine}, so they can't be compared.",
                "Give files of one sample rate, channel count and length.",
            )

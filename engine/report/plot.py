"""plot_files: spectrograms of recordings as one PNG, with what changed between them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.audio.buffer import AudioBuffer
from engine.errors import InputError, OptionError
from engine.files import new_file
from engine.publish import MANIFEST
from engine.report.job_folder import JobFolder
from engine.report.pictures import FLOOR_DB, STEP_DB, Pictures, hz_to_mel, make_pictures
from engine.report.recording import load_recording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS, _ROWS = 1600, 384
_RANGE_DB = 85.0
_DIFFERENCE_DB = 6.0
_TICKS_HZ = (100, 500, 1000, 2000, 5000, 10_000, 16_000)
_INCHES_WIDE, _INCHES_PER_PANEL = 12.0, 3.0


def plotted_files(path: Path) -> list[Path]:
    """What a path stands for: itself, or of a job's folder the original and the mix."""
    if not (path / MANIFEST).is_file():
        return [path]
    job = JobFolder.open(path)
    if job.mix is None:
        raise InputError(f"{path} holds no mix.", "Name its files.")
    return [*([job.source] if job.source.is_file() else []), job.mix]


def plot_files(files: Sequence[Path], out: Path | None = None) -> Path:
    """Write a PNG of `files` and return its path; an existing file is never overwritten.

    Raises OptionError if matplotlib is missing, InputError for a file that can't be read.
    """
    pyplot = _pyplot()
    target = _target(files, out)
    with tempfile.TemporaryDirectory(prefix="stemfix-plot-") as folder:
        buffers = [load_recording(path, Path(folder, f"{n}.f32")) for n, path in enumerate(files)]
        top_hz = min(22_050.0, max(buffer.sample_rate for buffer in buffers) / 2)
        drawn = [make_pictures(buffer, min(_COLUMNS, buffer.frames), _ROWS, top_hz) for buffer in buffers]
    pairs = [number for number in range(1, len(files)) if _comparable(buffers[0], buffers[number])]
    panels = 2 * len(files) + len(pairs)
    heights = [1.0, 3.0] * len(files) + [3.0] * len(pairs)
    figure, axes = pyplot.subplots(
        panels,
        1,
        figsize=(_INCHES_WIDE, _INCHES_PER_PANEL * (len(files) + len(pairs))),
        height_ratios=heights,
        layout="constrained",
        squeeze=False,
    )
    try:
        loudest = max(float(pictures.spectrogram.max(initial=0)) for pictures in drawn)
        for number, (path, buffer, pictures) in enumerate(zip(files, buffers, drawn, strict=True)):
            wave, panel = axes[2 * number][0], axes[2 * number + 1][0]
            _draw_wave(wave, buffer, pictures, path.name)
            _draw_spectrogram(figure, panel, buffer, pictures, top_hz, FLOOR_DB + STEP_DB * loudest)
        for number, other in enumerate(pairs):
            panel = axes[2 * len(files) + number][0]
            title = f"{files[other].name} minus {files[0].name}"
            _draw_difference(figure, panel, buffers[0], drawn[other], drawn[0], top_hz, loudest, title)
        with new_file(target) as file:
            figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    finally:
        pyplot.close(figure)
    return target


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise OptionError(
            "Pictures need matplotlib, which is not installed.", 'Install it: pip install "stemfix[plot]"'
        ) from None
    matplotlib.use("Agg")
    # Names of files are no formulas, and a missing glyph (an emoji) is no reason to stop.
    matplotlib.rcParams["text.parse_math"] = False
    from matplotlib import pyplot

    return pyplot


def _target(files: Sequence[Path], out: Path | None) -> Path:
    name = f"{files[0].stem}-{'spectrogram' if len(files) == 1 else 'comparison'}.png"
    target = files[0].parent / name if out is None else out / name if out.is_dir() else out
    if os.path.lexists(target):
        raise OptionError(f"{target} exists and is never overwritten.", "Name another with --out.")
    return target


def _comparable(first: AudioBuffer, other: AudioBuffer) -> bool:
    return (first.frames, first.sample_rate) == (other.frames, other.sample_rate)


def _draw_wave(axes: Axes, buffer: AudioBuffer, pictures: Pictures, title: str) -> None:
    low, high = pictures.peaks.reshape(-1, 2).T / 127
    time = (np.arange(len(low)) + 0.5) * buffer.frames / buffer.sample_rate / len(low)
    axes.fill_between(time, low, high, linewidth=0.4, color="#0b68b0")
    axes.set(title=title, xlim=(0, buffer.frames / buffer.sample_rate), ylim=(-1, 1), xticks=[])
    axes.set_yticks([-1, 0, 1])


def _draw_spectrogram(
    figure: Any, axes: Axes, buffer: AudioBuffer, pictures: Pictures, top_hz: float, loudest_db: float
) -> None:
    levels = FLOOR_DB + STEP_DB * pictures.spectrogram.astype(np.float32)
    image = _show(axes, buffer, levels, top_hz, "magma", loudest_db - _RANGE_DB, loudest_db)
    figure.colorbar(image, ax=axes, label="dBFS", pad=0.01)


def _draw_difference(
    figure: Any,
    axes: Axes,
    buffer: AudioBuffer,
    after: Pictures,
    before: Pictures,
    top_hz: float,
    loudest: float,
    title: str,
) -> None:
    floor = loudest - _RANGE_DB / STEP_DB
    after_steps, before_steps = (
        np.maximum(pictures.spectrogram.astype(np.float32), floor) for pictures in (after, before)
    )
    levels = STEP_DB * (after_steps - before_steps)
    image = _show(axes, buffer, levels, top_hz, "RdBu_r", -_DIFFERENCE_DB, _DIFFERENCE_DB)
    axes.set_title(title)
    figure.colorbar(image, ax=axes, label="dB", pad=0.01)


def _show(
    axes: Axes, buffer: AudioBuffer, levels: Any, top_hz: float, colours: str, low: float, high: float
) -> Any:
    seconds = buffer.frames / buffer.sample_rate
    image = axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, hz_to_mel(top_hz)),
        cmap=colours,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    ticks = [hertz for hertz in _TICKS_HZ if hertz < top_hz]
    axes.set_yticks([hz_to_mel(hertz) for hertz in ticks], [str(hertz) for hertz in ticks])
    axes.set(xlabel="s", ylabel="Hz")
    return image

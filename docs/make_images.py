"""Draw a finished job for the manual: the waveform and the spectrogram of the mix and of every stem.

    python docs/make_images.py demo-output/demo.stemfix examples/demo.flac docs/images/demo.png

Needs matplotlib, which noisereduce brings along.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import soundfile as sf

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter, NullLocator
from PIL import Image

COLOURS = {"mix": "#5b6470", "vocals": "#d1495b", "drums": "#e08e2b", "bass": "#2e7d6b", "other": "#3b6fb6"}
STEMS = ("vocals", "drums", "bass", "other")
FREQUENCIES_HZ = (50, 200, 1000, 5000, 16000)
RANGE_DB = 80.0


def draw_waveform(axes: Axes, audio: npt.NDArray[np.float64], sample_rate: int, colour: str) -> None:
    """The lowest and highest sample of each of 900 columns, over all channels."""
    edges = np.linspace(0, audio.shape[0], 901).astype(int)[:-1]
    low = np.minimum.reduceat(audio.min(1), edges)
    high = np.maximum.reduceat(audio.max(1), edges)
    axes.fill_between(edges / sample_rate, low, high, color=colour, linewidth=0)
    axes.set(ylim=(-1, 1), xlim=(0, audio.shape[0] / sample_rate), yticks=[])


def draw_spectrogram(
    axes: Axes, audio: npt.NDArray[np.float64], sample_rate: int, top_db: float | None
) -> float:
    """Power in dB over a logarithmic frequency axis; `top_db` is the brightest level, found here if None."""
    size, hop = 4096, 1024
    mono = np.pad(audio.mean(1), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(mono, size)[::hop]
    level_db = 10.0 * np.log10(np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))).T + 1e-12)
    top_db = float(np.percentile(level_db, 99.9)) if top_db is None else top_db
    time_s = np.arange(level_db.shape[1]) * hop / sample_rate
    frequency_hz = np.arange(level_db.shape[0]) * sample_rate / size
    axes.pcolormesh(
        time_s,
        frequency_hz[1:],
        level_db[1:],
        vmin=top_db - RANGE_DB,
        vmax=top_db,
        cmap="magma",
        shading="nearest",
        rasterized=True,
    )
    axes.set(yscale="log", ylim=(FREQUENCIES_HZ[0], FREQUENCIES_HZ[-1]), xlim=(0, time_s[-1]))
    axes.set_yticks(FREQUENCIES_HZ, [f"{f // 1000}k" if f >= 1000 else str(f) for f in FREQUENCIES_HZ])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    return top_db


def draw_job(folder: Path, source: Path, picture: Path) -> None:
    """One row for the source and one for each stem of the job in `folder`, to the file `picture`."""
    rows = [("mix", source)]
    for stem in STEMS:
        rows += [
            (stem, path) for path in sorted(folder.glob(f"*-{stem}.*")) if path.suffix in (".wav", ".flac")
        ][:1]
    figure, grid = plt.subplots(
        len(rows),
        2,
        figsize=(12, 1.35 * len(rows)),
        sharex=True,
        width_ratios=(1, 1.15),
        layout="constrained",
    )
    top_db = None
    for (wave, spectrum), (name, path) in zip(grid, rows, strict=True):
        audio, sample_rate = sf.read(path, dtype="float64", always_2d=True)
        draw_waveform(wave, audio, sample_rate, COLOURS[name])
        top_db = draw_spectrogram(spectrum, audio, sample_rate, top_db)
        wave.set_ylabel(
            name, rotation=0, ha="right", va="center", fontsize=13, color=COLOURS[name], weight="bold"
        )
        for axes in (wave, spectrum):
            axes.tick_params(labelsize=8, length=2)
            axes.spines[:].set_visible(False)
    for axes, title in zip(grid[0], ("waveform", "spectrum (Hz)"), strict=True):
        axes.set_title(title, fontsize=10, color="#5b6470")
    for axes in grid[-1]:
        axes.set_xticks(range(0, int(axes.get_xlim()[1]) + 1, 5))
        axes.set_xlabel("seconds", fontsize=9, color="#5b6470")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)
    # 256 colours are enough, and a third of the size.
    with Image.open(picture) as drawn:
        reduced = drawn.convert("RGB").quantize(256)
    reduced.save(picture, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw the mix and the stems of a finished job.")
    parser.add_argument("folder", type=Path, help="a job's output folder, such as demo-output/demo.stemfix")
    parser.add_argument("source", type=Path, help="the song that was enhanced")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    given = parser.parse_args()
    draw_job(given.folder, given.source, given.picture)

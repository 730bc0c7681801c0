"""Draws docs/images/repairs/*.png: the demo song damaged, and repaired. Needs the extra `plot`.

python docs/make_repair_images.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME))

from engine.audio.buffer import Audio  # noqa: E402
from engine.processors.registry import effects  # noqa: E402

START_S, SECONDS = 4, 5


def clipped(audio: Audio, _: int) -> Audio:
    """Cut off at half of the peak."""
    limit = 0.5 * np.abs(audio).max()
    return np.clip(audio, -limit, limit)


def clicked(audio: Audio, rate: int) -> Audio:
    """40 clicks of 6 samples."""
    damaged = audio.copy()
    generator = np.random.default_rng(1)
    for start in generator.integers(rate // 10, audio.shape[1] - rate // 10, 40):
        damaged[:, start : start + 6] += generator.uniform(0.2, 0.5) * np.exp(-np.arange(6) / 3)
    return damaged


def combed(audio: Audio, _: int) -> Audio:
    """An offset and a gain that repeat every 16 frames."""
    phase = np.arange(audio.shape[1]) % 16
    gain, offset = np.random.default_rng(1).standard_normal((2, 16)) * [[0.03], [0.003]]
    return audio * (1 + gain)[phase] + offset[phase]


DAMAGE: dict[str, Callable[[Audio, int], Audio]] = {"declip": clipped, "declick": clicked, "decomb": combed}


def main() -> None:
    """One picture per repair."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    audio, rate = soundfile.read(HOME / "examples" / "demo.flac", dtype="float32", always_2d=True)
    audio = audio[START_S * rate : (START_S + SECONDS) * rate].T
    folder = HOME / "docs" / "images" / "repairs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, damage in DAMAGE.items():
        damaged = damage(audio, rate).astype(np.float32)
        repaired = effects()[name]().apply(damaged, rate)
        figure, axes = pyplot.subplots(1, 2, figsize=(9, 3), sharey=True, dpi=80)
        for axis, sound, title in zip(axes, (damaged, repaired), ("damaged", f"after {name}"), strict=True):
            middle = sound[:, rate : 4 * rate].mean(axis=0)
            axis.specgram(middle, NFFT=1024, Fs=rate, noverlap=768, vmin=-130, vmax=-40, cmap="magma")
            axis.set(title=title, xlabel="s")
        axes[0].set(ylabel="Hz")
        figure.tight_layout()
        figure.savefig(folder / f"{name}.png")
        pyplot.close(figure)


if __name__ == "__main__":
    main()

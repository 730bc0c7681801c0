"""Stems of stemfix and of the stock `demucs` command against the true stems of the demo song, side by side.

    python benchmarks/sdr.py [--mix examples/demo.flac] [--truth examples/stems]

Both run the installed htdemucs weights with upstream's default options on the CPU. SDR is
10 log10(sum s^2 / sum (s - e)^2) over the whole song, the definition of the Music Demixing Challenge 2021
(Mitsufuji et al. 2022).
"Left over" is the level of (mix - sum of the stems) re the mix.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from engine.job import JobSpec
from engine.pipeline import run_job

ROOT = Path(__file__).resolve().parents[1]
STEMS = ("drums", "bass", "other", "vocals")


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float64", always_2d=True)[0]


def ratio_db(signal: np.ndarray, error: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(signal**2) / max(np.sum(error**2), 1e-30)))


def stemfix(mix: Path, out: Path, preset: str) -> tuple[dict[str, np.ndarray], float]:
    began = time.perf_counter()
    result = run_job(JobSpec(source=mix, out_dir=out, preset=preset, use_cache=False))
    seconds = time.perf_counter() - began
    return {stem.name: read(result.folder / stem.file) for stem in result.manifest.stems}, seconds


def upstream_checkpoint(folder: Path) -> None:
    """The installed weights in the form that the stock command's --repo option reads."""
    import torch

    from engine.separation import weights

    installed = weights.installed("htdemucs")
    if installed is None:
        sys.exit("Run first: stemfix models pull htdemucs")
    (model,), _ = weights.load_models(installed)
    args, kwargs = model._init_args_kwargs
    package = {"klass": type(model), "args": args, "kwargs": kwargs, "state": model.state_dict()}
    path = folder / "955717e8.th"
    torch.save(package, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.rename(folder / f"955717e8-{digest[:8]}.th")
    (folder / "htdemucs.yaml").write_text("models: ['955717e8']\n")


def stock(mix: Path, out: Path, *flags: str) -> tuple[dict[str, np.ndarray], float]:
    upstream_checkpoint(out)
    began = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "demucs.separate",
        "-n",
        "htdemucs",
        "--repo",
        str(out),
        "-o",
        str(out / "stems"),
    ]
    subprocess.run([*command, "-d", "cpu", *flags, str(mix)], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    folder = out / "stems" / "htdemucs" / mix.stem
    return {name: read(folder / f"{name}.wav") for name in STEMS}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mix", type=Path, default=ROOT / "examples" / "demo.flac")
    parser.add_argument("--truth", type=Path, default=ROOT / "examples" / "stems")
    args = parser.parse_args()
    mix = read(args.mix)
    truth = {name: read(next(args.truth.glob(f"*{name}.*"))) for name in STEMS}
    print("| run | " + " | ".join(STEMS) + " | mean SDR | left over, dB | seconds |")
    print("|---|" + "---|" * (len(STEMS) + 3))
    with tempfile.TemporaryDirectory() as folder:
        runs = {
            "stock `demucs`, as it comes (16 bit)": lambda out: stock(args.mix, out),
            "stock `demucs --float32 --clip-mode none`": lambda out: stock(
                args.mix, out, "--float32", "--clip-mode", "none"
            ),
            "stemfix separate": lambda out: stemfix(args.mix, out, "none"),
            "stemfix enhance, balanced": lambda out: stemfix(args.mix, out, "balanced"),
            "stemfix enhance, maximum": lambda out: stemfix(args.mix, out, "maximum"),
        }
        for number, (name, run) in enumerate(runs.items()):
            out = Path(folder) / str(number)
            out.mkdir()
            stems, seconds = run(out)
            sdr = [ratio_db(truth[stem], truth[stem] - stems[stem]) for stem in STEMS]
            left = -ratio_db(mix, mix - sum(stems.values()))
            cells = [f"{value:.2f}" for value in (*sdr, float(np.mean(sdr)), left, seconds)]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

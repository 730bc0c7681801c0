"""Separation alone: stemfix beside the stock `demucs` command and, where it is installed, audio-separator.

    python benchmarks/separation.py                      30 s, three rounds
    python benchmarks/separation.py --seconds 240 --rounds 1
    python benchmarks/separation.py --bag                one wanted stem of htdemucs_ft, with stand-in weights
    python benchmarks/separation.py --separator-python PATH    a Python that has audio-separator

All run the installed htdemucs weights on the CPU, on the demo song repeated to the wanted length, each in a
process of its own and round by round, one after the other, so that a shared machine's drift falls on all
alike. Wall and CPU seconds are of the whole command, from the start of Python to the last file.
"Speed" is the wall time of stock demucs over that of the way, median of the rounds. SDR is
10 log10(sum s^2 / sum (s - e)^2) against the true stems, mean of the four; SNR is against stemfix on PyTorch
with the same options and seed, the lowest of the four stems.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from engine.paths import model_dir
from engine.separation import weights
from engine.separation.calibration import (
    Backend,
    Calibration,
    machine_name,
    package_versions,
    save_calibration,
)
from engine.separation.device import core_count
from engine.separation.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
STEMS = ("drums", "bass", "other", "vocals")
RATE = 44_100


@dataclass
class Way:
    """One command that separates, and what its runs gave."""

    name: str
    command: Callable[[Path], list[str]]
    stems: Callable[[Path], dict[str, Path]]
    environment: dict[str, str] = field(default_factory=dict)
    #: The way that computes the same in 32 bits with PyTorch.
    reference: str | None = None
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    audio: dict[str, np.ndarray] = field(default_factory=dict)

    def run(self, out: Path) -> None:
        out.mkdir(parents=True)
        began = time.perf_counter()
        process = subprocess.Popen(
            self.command(out),
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = process.stdout.read() if process.stdout else b""
        _, status, usage = os.wait4(process.pid, 0)
        self.wall.append(time.perf_counter() - began)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.rss_mb = max(self.rss_mb, usage.ru_maxrss / 1024)
        if os.waitstatus_to_exitcode(status):
            sys.exit(f"{self.name} failed:\n{said.decode(errors='replace')[-2000:]}")
        self.audio = {name: read(path) for name, path in self.stems(out).items() if path.exists()}
        shutil.rmtree(out)


def read(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def ratio_db(signal: np.ndarray, error: np.ndarray) -> float:
    energy = np.sum(error.astype(np.float64) ** 2)
    return float(10 * np.log10(np.sum(signal.astype(np.float64) ** 2) / max(energy, 1e-30)))


def lengthened(path: Path, frames: int, into: Path) -> Path:
    """The recording at `path`, repeated to `frames` frames."""
    audio = read(path)
    audio = np.tile(audio, (-(-frames // len(audio)), 1))[:frames]
    soundfile.write(into, audio, RATE, subtype="FLOAT")
    return into


def stock_repository(folder: Path, members: int = 1) -> Path:
    """The installed htdemucs in the form that the stock command's --repo reads, as a bag if need be."""
    import hashlib

    import torch

    (model,), _ = weights.load_models(weights.require_installed("htdemucs"))
    args, kwargs = model._init_args_kwargs
    folder.mkdir()
    names = []
    for index in range(members):
        path = folder / "unnamed.th"
        package = {"klass": type(model), "args": args, "kwargs": kwargs, "state": model.state_dict()}
        torch.save(package, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        names.append(f"{index:08d}")
        path.rename(folder / f"{names[-1]}-{digest[:8]}.th")
    rows = [[float(row == column) for column in range(4)] for row in range(4)]
    text = f"models: {names}\n" + (f"weights: {rows}\n" if members > 1 else "")
    (folder / "bench.yaml").write_text(text)
    # What audio-separator looks models up in.
    lists = ["vr", "mdx", "mdx_vip", "mdx23c", "mdx23c_vip", "roformer"]
    names_of: dict[str, dict[str, dict[str, str]]] = {
        f"{name.removesuffix('_vip')}_download{'_vip' if name.endswith('_vip') else ''}_list": {}
        for name in lists
    }
    names_of["demucs_download_list"] = {"Demucs v4: bench": {"bench.yaml": "bench.yaml"}}
    (folder / "download_checks.json").write_text(json.dumps(names_of))
    return folder


def tuned(folder: Path, full: Backend, reduced: Backend) -> dict[str, str]:
    """The environment of a machine on which these were measured as the fastest."""
    folder.mkdir()
    models = str(model_dir())
    os.environ["STEMFIX_MODEL_DIR"], os.environ["STEMFIX_DATA_DIR"] = models, str(folder)
    save_calibration(
        Calibration(
            machine=machine_name(),
            versions=package_versions(),
            model="htdemucs",
            segment_s=7.8,
            measured_at="2026-01-01T00:00:00+00:00",
            measured=[],
            chosen={"full": full, "reduced": reduced},
        )
    )
    return {"STEMFIX_DATA_DIR": str(folder), "STEMFIX_MODEL_DIR": models}


def stemfix(
    name: str, song: Path, environment: dict[str, str], *options: str, reference: str | None = None
) -> Way:
    def command(out: Path) -> list[str]:
        base = [sys.executable, "-m", "stemfix", "separate", str(song), "--out", str(out), "--no-cache"]
        return [*base, "--device", "cpu", "--format", "float32", "--quiet", *options]

    def stems(out: Path) -> dict[str, Path]:
        return {stem: out / f"{song.stem}.stemfix" / f"{song.stem}-{stem}.wav" for stem in STEMS}

    return Way(name, command, stems, environment, reference)


def demucs(name: str, song: Path, repository: Path, *options: str) -> Way:
    def command(out: Path) -> list[str]:
        base = [sys.executable, "-m", "demucs.separate", "-n", "bench", "--repo", str(repository)]
        return [*base, "-d", "cpu", "-o", str(out), "--float32", "--clip-mode", "none", *options, str(song)]

    def stems(out: Path) -> dict[str, Path]:
        return {stem: out / "bench" / song.stem / f"{stem}.wav" for stem in STEMS}

    return Way(name, command, stems)


def audio_separator(python: str, song: Path, models: Path) -> Way:
    def command(out: Path) -> list[str]:
        code = "from audio_separator.utils.cli import main; main()"
        base = [python, "-c", code, str(song), "--model_filename", "bench.yaml", "--output_dir", str(out)]
        return [*base, "--model_file_dir", str(models), "--demucs_shifts", "1", "--demucs_overlap", "0.25"]

    def stems(out: Path) -> dict[str, Path]:
        found = {}
        for stem in STEMS:
            matches = sorted(out.glob(f"*({stem.capitalize()})*"))
            found[stem] = matches[0] if matches else out / "absent"
        return found

    return Way("python-audio-separator", command, stems)


def report(ways: list[Way], truth: dict[str, np.ndarray], seconds: float) -> None:
    stock = ways[0]
    print(f"\n{seconds:.0f} s, {len(stock.wall)} rounds, {machine_name()}\n")
    print("| way | wall, s | speed | CPU, s | of stock's | peak MB | SDR, dB | SNR, dB |")
    print("|---|---|---|---|---|---|---|---|")
    for way in ways:
        speed = statistics.median(s / w for s, w in zip(stock.wall, way.wall, strict=True))
        work = statistics.median(w / s for s, w in zip(stock.cpu, way.cpu, strict=True))
        sdr = [ratio_db(truth[name], truth[name] - audio) for name, audio in way.audio.items()]
        sdr_text = f"{np.mean(sdr):.2f}" if len(sdr) == len(STEMS) else "-"
        other = next((found for found in ways if found.name == way.reference), None)
        pairs = [(other.audio[name], audio) for name, audio in way.audio.items()] if other else []
        snr = min((ratio_db(exact, exact - audio) for exact, audio in pairs), default=None)
        snr_text = "-" if snr is None else f"{snr:.0f}"
        print(
            f"| {way.name} | {statistics.median(way.wall):.1f} | {speed:.2f} | "
            f"{statistics.median(way.cpu):.1f} | {work:.2f} | {way.rss_mb:.0f} | {sdr_text} | {snr_text} |",
            flush=True,
        )


def measure(ways: list[Way], rounds: int, folder: Path) -> None:
    for number in range(rounds):
        for way in ways:
            way.run(folder / f"run-{number}")
            said = f"{way.name}: {way.wall[-1]:.1f} s, {way.cpu[-1]:.1f} s CPU, {way.rss_mb:.0f} MB"
            print(f"  {said}", file=sys.stderr, flush=True)


def bag_weights(folder: Path) -> dict[str, str]:
    """A model folder in which htdemucs_ft is four times htdemucs: what it gives is not ft's, its cost is."""
    source = weights.require_installed("htdemucs")
    files = folder / "files"
    files.mkdir(parents=True)
    for signature in MODELS["htdemucs_ft"].signatures:
        shutil.copy(source.folder / source.files[0].name, files / f"{signature}.safetensors")
    os.environ["STEMFIX_MODEL_DIR"] = str(folder)
    weights.pull("htdemucs_ft", from_dir=files)
    return {"STEMFIX_MODEL_DIR": str(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bag", action="store_true")
    parser.add_argument("--threads", type=int, help="of every way; for a machine that others use too")
    parser.add_argument("--separator-python")
    args = parser.parse_args()
    if args.threads:
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TORCH_NUM_THREADS"):
            os.environ[variable] = str(args.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        frames = round(args.seconds * RATE)
        song = lengthened(ROOT / "examples" / "demo.flac", frames, folder / "song.wav")
        truth = {
            stem: read(
                lengthened(
                    next((ROOT / "examples" / "stems").glob(f"*{stem}.*")), frames, folder / "stem.wav"
                )
            )
            for stem in STEMS
        }
        cores = core_count()
        exact = Backend(engine="openvino", precision="f32", streams=cores)
        quick = Backend(engine="openvino", precision="bf16", streams=cores)
        plain, fast = tuned(folder / "plain", Backend(), Backend()), tuned(folder / "fast", exact, quick)
        if args.bag:
            repository = stock_repository(folder / "repository", 4)
            ft = bag_weights(folder / "models")
            one = ("--model", "htdemucs_ft", "--overlap", "0.25", "--shifts", "1")
            ways = [
                demucs("stock demucs, --two-stems vocals", song, repository, "--two-stems", "vocals"),
                stemfix(
                    "stemfix, not tuned, --stems vocals", song, {**plain, **ft}, *one, "--stems", "vocals"
                ),
                stemfix("stemfix, tuned, --stems vocals", song, {**fast, **ft}, *one, "--stems", "vocals"),
                stemfix("stemfix, tuned, all stems", song, {**fast, **ft}, *one),
            ]
        else:
            repository = stock_repository(folder / "repository")
            same = ("--model", "htdemucs", "--overlap", "0.25", "--shifts", "1")
            ways = [
                demucs("stock demucs", song, repository),
                stemfix("stemfix, not tuned", song, plain, *same),
                stemfix("stemfix, tuned, full precision", song, fast, *same, reference="stemfix, not tuned"),
                stemfix(
                    "stemfix, tuned, reduced precision",
                    song,
                    fast,
                    "--quality",
                    "development",
                    *same,
                    reference="stemfix, not tuned",
                ),
                stemfix("stemfix, tuned, development", song, fast, "--quality", "development"),
                stemfix("stemfix, tuned, draft", song, fast, "--quality", "draft"),
            ]
            if args.separator_python:
                ways.insert(1, audio_separator(args.separator_python, song, repository))
        # What is done once per machine and model is no part of a separation.
        for way in ways:
            if "tuned" in way.name and "not" not in way.name:
                short = lengthened(ROOT / "examples" / "demo.flac", RATE, folder / "short.wav")
                command = [str(short) if part == str(song) else part for part in way.command(folder / "once")]
                subprocess.run(
                    command, env={**os.environ, **way.environment}, check=True, capture_output=True
                )
                shutil.rmtree(folder / "once")
        measure(ways, args.rounds, folder)
        report(ways, truth, args.seconds)


if __name__ == "__main__":
    main()

"""Separation on a GPU: stock demucs, unblend and stemfix side by side, and whole jobs. One command:

    python benchmarks/gpu.py                            the GPU that is there, under 8 minutes
    python benchmarks/gpu.py --models-dir /media/stick  weights from a folder; the network is never needed
    python benchmarks/gpu.py --compile --channels-last  also what is not stemfix's default
    python benchmarks/gpu.py --device cpu --quick       a trial of the script itself, about a minute

On a machine without a network, carry there: this checkout; the folder `models` in stemfix's data folder (on
Linux ~/.local/share/stemfix/models), or one that `stemfix models pull --from` accepts (for htdemucs one file
of 84 MB); and wheels:
`pip download -d wheels -c constraints.txt .` here with a CUDA build of PyTorch, there
`pip install --no-index --find-links wheels .`. unblend is optional: `pip install unblend`, and its weights in
its own cache (`unblend models download htdemucs`).

Prints Markdown. "x realtime" is seconds of music per second, of one run after a run that warms up. "of stock"
is relative to stock demucs on the same device. Memory is the most that PyTorch's allocator held on the GPU.
SNR is of an excerpt against stemfix in 32 bits on the CPU with the same shifts, the lowest of the stems;
unblend draws its shifts otherwise, so its SNR is without shifts on both sides. A model whose weights are
absent is left out, except htdemucs_ft, whose cost is measured with four copies of htdemucs. What was skipped
and why stands below the tables. After --limit seconds nothing new is begun.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RATE = 44_100
BAG = "htdemucs_ft"

Stems = np.ndarray  # (sources, channels, frames)


@dataclass
class Bench:
    """What all measurements share."""

    device: str
    song: np.ndarray
    excerpt: np.ndarray
    shifts: int
    warm_up: bool
    ends: float
    skipped: list[str] = field(default_factory=list)

    def time_left(self, what: str, needs: float = 0.0) -> bool:
        """Whether there is time for another measurement; if not, it is noted as skipped."""
        if time.monotonic() + needs < self.ends:
            return True
        self.skipped.append(f"{what}: no time was left (--limit)")
        return False


@dataclass
class Loaded:
    """A model as both stemfix and stock demucs take it."""

    name: str
    title: str
    networks: list[Any]
    weights: list[list[float]]
    reference: dict[int, Stems] = field(default_factory=dict)


def main() -> None:
    arguments = parse()
    began = time.monotonic()
    if arguments.threads:
        os.environ["TORCH_NUM_THREADS"] = str(arguments.threads)
    import torch

    device = arguments.device
    if device == "auto":
        there = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if there else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit(
            "PyTorch finds no CUDA device. Install a CUDA build of PyTorch, or try --device cpu --quick."
        )
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    bench = Bench(
        device,
        music(arguments.seconds),
        music(arguments.excerpt),
        arguments.shifts,
        not arguments.quick,
        began + arguments.limit,
    )
    with tempfile.TemporaryDirectory() as folder:
        if arguments.models_dir:
            carry_in(arguments.models_dir, Path(folder), arguments.models, bench)
        print(
            f"{describe(device)}\n\n{arguments.seconds:g} s of music, {bench.shifts} shifts, overlap 0.25\n"
        )
        print("| model | way | precision | batch | x realtime | of stock | GPU memory, MB | SNR, dB |")
        print("|---|---|---|---:|---:|---:|---:|---:|", flush=True)
        for name in arguments.models:
            model = load(name, bench)
            if model is not None:
                measure(model, bench, arguments)
                release(device)
        if bench.time_left("whole jobs", 20.0) and not arguments.no_jobs:
            whole_jobs(bench, Path(folder), arguments)
    for reason in bench.skipped:
        print(f"\nSkipped: {reason}")
    print(f"\n{time.monotonic() - began:.0f} s in all")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "mps", "cpu"))
    parser.add_argument("--models-dir", type=Path)
    parser.add_argument("--models", type=lambda text: text.split(","))
    parser.add_argument("--batches", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--excerpt", type=float)
    parser.add_argument("--shifts", type=int)
    parser.add_argument("--limit", type=float, default=420.0, help="seconds after which nothing is begun")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--compile", action="store_true", help="torch.compile and CUDA graphs, slow to begin")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--no-jobs", action="store_true")
    found = parser.parse_args()
    small = found.quick
    found.models = found.models or (["htdemucs"] if small else ["htdemucs", BAG, "htdemucs_6s"])
    found.batches = found.batches or ([1] if small else [1, 4, 16])
    # One segment is what a quick trial on a CPU can afford.
    found.seconds = found.seconds or (5.0 if small else 240.0)
    found.excerpt = found.excerpt or (5.0 if small else 12.0)
    found.shifts = found.shifts if found.shifts is not None else (0 if small else 1)
    return found


def music(seconds: float) -> np.ndarray:
    """The demo song repeated, without its mean, which stock demucs and stemfix give back differently."""
    audio, _ = soundfile.read(ROOT / "examples" / "demo.flac", dtype="float32", always_2d=True)
    frames = round(seconds * RATE)
    audio = np.tile(audio, (-(-frames // len(audio)), 1))[:frames].T
    return np.ascontiguousarray(audio - audio.mean(dtype=np.float64).astype(np.float32))


def carry_in(source: Path, folder: Path, models: list[str], bench: Bench) -> None:
    """Weights from `source`: a model folder of stemfix as it is, or files to be pulled from there."""
    from engine.errors import StemfixError

    if any((source / name / "manifest.json").exists() for name in models):
        os.environ["STEMFIX_MODEL_DIR"] = str(source.resolve())
        return
    from engine.separation import weights

    os.environ["STEMFIX_MODEL_DIR"] = str(folder / "models")
    for name in models:
        try:
            weights.pull(name, from_dir=source)
        except StemfixError as error:
            bench.skipped.append(f"{name} from {source}: {error}")


def load(name: str, bench: Bench) -> Loaded | None:
    from engine.separation import weights

    found = weights.installed(name)
    if found is not None:
        networks, rows = weights.load_models(found)
        return Loaded(name, name, list(networks), [list(row) for row in rows])
    stand_in = weights.installed("htdemucs") if name == BAG else None
    if stand_in is None:
        bench.skipped.append(
            f"{name}: no weights; run `stemfix models pull {name}`, or carry them in with --models-dir"
        )
        return None
    bench.skipped.append(f"{name}: its own weights are absent; four copies of htdemucs stand in for its cost")
    (network, *_), _ = weights.load_models(stand_in)
    rows = [[float(row == column) for column in range(4)] for row in range(4)]
    return Loaded(name, f"{name} (stand-in)", [network] * 4, rows)


def measure(model: Loaded, bench: Bench, arguments: argparse.Namespace) -> None:
    """One row per way, the ones that matter most first."""
    stock: list[float] = []

    def row(way: str, precision: str, batch: str, make: Callable[[], Any]) -> None:
        if not bench.time_left(f"{model.title}, {way} {precision} {batch}"):
            return
        try:
            speed, memory, snr, noted = timed(model, bench, make())
        except Exception as error:  # whatever it is, the other rows are still wanted
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            bench.skipped.append(f"{model.title}, {way} {precision} {batch}: {reason}")
            return
        if way == "stock demucs":
            stock.append(speed)
        of_stock = f"{speed / stock[0]:.2f}" if stock else "-"
        used = "-" if memory is None else f"{memory / 1e6:.0f}"
        print(
            f"| {model.title} | {way} | {noted.get('precision', precision)} | {noted.get('batch', batch)} | "
            f"{speed:.1f} | {of_stock} | {used} | {'-' if snr is None else f'{snr:.0f}'} |",
            flush=True,
        )
        release(bench.device)

    row("stock demucs", "as it comes", "1", lambda: Stock(model, bench))
    row("stemfix", "full", "auto", lambda: Ours(model, bench, "full"))
    if bench.device == "cpu":
        bench.skipped.append("reduced precision, batches, unblend: measured on a GPU only")
        return
    row("stemfix", "reduced", "auto", lambda: Ours(model, bench, "reduced"))
    for compiled in [False, True] if arguments.compile else [False]:
        tag = " compiled" if compiled else ""
        row("unblend", f"float32{tag}", "auto", lambda c=compiled: Unblend(model, bench, None, c))
        row("unblend", f"auto{tag}", "auto", lambda c=compiled: Unblend(model, bench, "auto", c))
    for batch in arguments.batches:
        for precision in ("full", "reduced"):
            row("stemfix", precision, str(batch), lambda p=precision, b=batch: Ours(model, bench, p, b))
    variants = [("channels-last", as_channels_last)] if arguments.channels_last else []
    variants += [("torch.compile", as_compiled)] if arguments.compile else []
    for title, change in variants:
        for precision in ("full", "reduced"):
            row(
                f"stemfix, {title}",
                precision,
                "16",
                lambda p=precision, c=change: Ours(model, bench, p, 16, c),
            )


class Ours:
    """stemfix's separator: audio in, blocks of stems out in the CPU's memory."""

    def __init__(
        self,
        model: Loaded,
        bench: Bench,
        precision: str,
        batch: int | None = None,
        change: Callable[[Any], Any] | None = None,
        device: str | None = None,
    ) -> None:
        import copy

        from engine.separation.demucs import DemucsSeparator
        from engine.separation.separator import SeparationOptions

        networks = model.networks
        if change is not None:  # of a copy, and one copy for networks that are the same
            changed = {id(network): change(copy.deepcopy(network)) for network in networks}
            networks = [changed[id(network)] for network in networks]
        self._bench, self._precision = bench, precision
        self._notes: list[str] = []
        self._separators = {
            shifts: DemucsSeparator(
                model.name,
                networks,
                model.weights,
                "benchmark",
                SeparationOptions(shifts=shifts, precision=precision),  # type: ignore[arg-type]
                device or bench.device,
                note=self._notes.append,
                batch=batch,
            )
            for shifts in {0, bench.shifts}
        }

    def run(self, audio: np.ndarray, shifts: int) -> Iterator[np.ndarray]:
        from engine.audio.buffer import AudioBuffer

        separator = self._separators[shifts]
        for _, block in separator.separate(AudioBuffer.of(audio, RATE), 0, lambda d, t: None, lambda: None):
            yield block

    def facts(self) -> dict[str, str]:
        separator = self._separators[self._bench.shifts]
        used = str(getattr(separator, "arithmetic", "f32"))
        self._bench.skipped += [note for note in self._notes if note not in self._bench.skipped]
        batch = getattr(separator, "batch", None)
        said = {"precision": f"{self._precision} ({used})"}
        return said if batch is None else {**said, "batch": str(batch)}


class Stock:
    """`demucs.apply.apply_model` as the command of demucs calls it."""

    def __init__(self, model: Loaded, bench: Bench) -> None:
        from demucs.apply import BagOfModels

        self._device = bench.device
        many = len(model.networks) > 1
        self._model = BagOfModels(model.networks, weights=model.weights) if many else model.networks[0]
        for network in model.networks:
            network.eval()

    def run(self, audio: np.ndarray, shifts: int) -> Iterator[np.ndarray]:
        import random

        import torch
        from demucs.apply import apply_model

        wav = torch.from_numpy(audio)
        mono = wav.mean(0)
        mean, std = mono.mean(), mono.std() + 1e-8
        random.seed(0)
        with torch.no_grad(), FreshSettings():
            sources = apply_model(
                self._model,
                ((wav - mean) / std)[None],
                device=self._device,
                shifts=shifts,
                split=True,
                overlap=0.25,
                num_workers=0,
            )[0]
        yield (sources * std + mean).cpu().numpy()

    def facts(self) -> dict[str, str]:
        return {}


class Unblend:
    """unblend with its own copy of the same weights."""

    def __init__(self, model: Loaded, bench: Bench, dtype: str | None, compiled: bool) -> None:
        import unblend

        if model.title != model.name:
            raise RuntimeError("unblend has no stand-in for absent weights")
        if bench.device == "cpu" and dtype is not None:
            raise RuntimeError("on a CPU unblend computes in 32 bits only")
        self._separator = unblend.Separator(model.name, device=bench.device, dtype=dtype, compile=compiled)

    def run(self, audio: np.ndarray, shifts: int) -> Iterator[np.ndarray]:
        import torch

        found = self._separator.separate((torch.from_numpy(audio), RATE), shifts=shifts, seed=0)
        stems = found.sources
        yield np.stack([stems[name].cpu().numpy() for name in ("drums", "bass", "other", "vocals")])

    def facts(self) -> dict[str, str]:
        return {"batch": str(self._separator.chunk_batch_size)}


def timed(model: Loaded, bench: Bench, way: Any) -> tuple[float, int | None, float | None, dict[str, str]]:
    """Times realtime, peak bytes on the GPU, and SNR of the excerpt."""
    import torch

    gpu = bench.device == "cuda"
    shifts = 0 if isinstance(way, Unblend) else bench.shifts
    one = not bench.warm_up and bench.song.shape == bench.excerpt.shape  # the same run serves for both
    stems = None if one else np.concatenate(list(way.run(bench.excerpt, shifts)), axis=-1)
    if bench.warm_up:
        for _ in way.run(bench.song[:, : 60 * RATE], bench.shifts):
            pass
    if gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    kept = []
    for block in way.run(bench.song, bench.shifts):
        if one:
            kept.append(block)
    wall = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated() if gpu else None
    stems = np.concatenate(kept, axis=-1) if one else stems
    if one and bench.device == "cpu" and isinstance(way, Ours):
        model.reference[shifts] = stems  # it is what the reference is
    snr = lowest_snr(reference(model, bench, shifts), stems)
    return bench.song.shape[1] / RATE / wall, peak, snr, way.facts()


def reference(model: Loaded, bench: Bench, shifts: int) -> Stems:
    """The excerpt's stems in 32 bits on the CPU; computed once."""
    if shifts not in model.reference:
        asked = Bench("cpu", bench.excerpt, bench.excerpt, shifts, False, bench.ends)
        way = Ours(model, asked, "full", 1, device="cpu")
        model.reference[shifts] = np.concatenate(list(way.run(bench.excerpt, shifts)), axis=-1)
    return model.reference[shifts]


def lowest_snr(exact: Stems, other: Stems) -> float:
    ratios = []
    for wanted, got in zip(exact.astype(np.float64), other, strict=True):
        error = float(np.square(wanted - got).sum())
        ratios.append(10 * np.log10(float(np.square(wanted).sum()) / max(error, 1e-30)))
    return min(min(ratios), 300.0)


def as_channels_last(network: Any) -> Any:
    import torch

    return network.to(memory_format=torch.channels_last)


def as_compiled(network: Any) -> Any:
    """With CUDA graphs, of the part of the network that PyTorch can capture."""
    import torch

    network.forward = torch.compile(network.forward, mode="reduce-overhead", dynamic=False)
    return network


class FreshSettings:
    """PyTorch as it comes, whatever stemfix has set in this process."""

    def __enter__(self) -> None:
        import torch

        self._fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(True)

    def __exit__(self, *error: object) -> None:
        import torch

        torch.backends.mha.set_fastpath_enabled(self._fast)


def release(device: str) -> None:
    import gc

    import torch

    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def whole_jobs(bench: Bench, folder: Path, arguments: argparse.Namespace) -> None:
    """`stemfix enhance`: song in, enhanced stems and mix out, each in a process of its own."""
    from engine.separation import weights

    song = folder / "song.wav"
    soundfile.write(song, bench.song.T, RATE, subtype="FLOAT")
    quick = not bench.warm_up
    jobs = (
        [("draft", "none")]
        if quick
        else [
            ("standard", "none"),
            ("standard", "balanced"),
            ("development", "balanced"),
            ("draft", "fast"),
            ("standard", "maximum"),
        ]
    )
    if weights.installed("htdemucs") is None:
        bench.skipped.append("whole jobs: htdemucs is not installed")
        return
    print("\n| whole job | quality | wall, s | x realtime |\n|---|---|---:|---:|", flush=True)
    for quality, preset in jobs:
        if not bench.time_left(f"stemfix enhance --preset {preset} --quality {quality}"):
            continue
        command = [sys.executable, "-m", "stemfix", "enhance", str(song), "--preset", preset, "--quality"]
        command += [quality, "--model", "htdemucs", "--device", bench.device, "--no-cache", "--quiet"]
        walls = []
        for number in range(1 if quick else 2):
            out = folder / f"{quality}-{preset}-{number}"
            began = time.perf_counter()
            done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, cwd=ROOT)
            if done.returncode:
                said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
                bench.skipped.append(f"stemfix enhance --preset {preset}: {said[-1]}")
                break
            walls.append(time.perf_counter() - began)
        if walls:
            wall = statistics.median(walls)
            seconds = bench.song.shape[1] / RATE
            print(f"| enhance, {preset} | {quality} | {wall:.1f} | {seconds / wall:.1f} |", flush=True)


def describe(device: str) -> str:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    names = {"cuda": lambda: torch.cuda.get_device_name(), "mps": lambda: "Apple GPU"}
    what = names.get(device, lambda: f"CPU, {torch.get_num_threads()} threads")()
    found = []
    for package in ("torch", "demucs", "unblend"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} absent")
    if device == "cuda":
        found += [f"CUDA {torch.version.cuda}", f"cuDNN {torch.backends.cudnn.version()}"]
    return f"{what}; {os.cpu_count()} CPU cores; Python {platform.python_version()}; {', '.join(found)}"


if __name__ == "__main__":
    main()

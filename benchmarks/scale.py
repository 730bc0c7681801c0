"""How long 100,000 songs take on N boxes: a model in formulas, and a simulation that it is held against.

    python benchmarks/scale.py                      the tables of docs/scale.md
    python benchmarks/scale.py --gpu-realtime 350   with what benchmarks/gpu.py measured

`MEASURED` is from benchmarks/RESULTS.md and from this script's `--flac`; `ASSUMED` is not measured. The same
seed gives the same tables. `--flac STEM...` measures what FLAC makes of stems, in bytes per second of music.
"""

from __future__ import annotations

import argparse
import heapq
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

# --- measured: 2 cores of an AMD EPYC (Zen 4); core-seconds per second of 44.1 kHz stereo ------------------

#: Separation with htdemucs, overlap 0.25, one shift: CPU seconds of a 30 s song less those before its first
#: segment.
SEPARATION = {"torch": 0.95, "full": 0.57, "reduced": 0.40}
#: All else that a job computes: reading, residual, effects, proof, mix, files.
BESIDE = {"none": 0.047, "fast": 0.063, "balanced": 0.108, "maximum": 0.128}
#: What the service adds to a job, in seconds of one core.
PER_JOB_S = 0.43
#: Bytes per second of music: four stems, and the recording they come from.
STEM_BYTES = {"float32": 4 * 44_100 * 2 * 4, "flac24": 635_000, "flac16": 285_000}
SOURCE_BYTES = 112_000

# --- assumed ------------------------------------------------------------------------------------------------

#: Seconds of music that one GPU separates per second, at full precision. Nothing of ours has run on one.
GPU_REALTIME = 200.0
#: Length of songs: log-normal.
MEDIAN_S, SIGMA = 215.0, 0.35
#: A box is lost this often (hours) and is back after so long (s); the song that it was at begins again.
HOURS_BETWEEN_LOSSES, RESTART_S = 200.0, 300.0


@dataclass(frozen=True)
class Fleet:
    """`boxes` alike, with storage that all share. Rates in bytes per second."""

    name: str
    boxes: int
    cores: int
    gpus: int = 0
    gpu_realtime: float = GPU_REALTIME
    separation: str = "full"
    preset: str = "balanced"
    delivery: str = "flac24"
    #: Share of the songs whose stems are in the cache already.
    cached: float = 0.0
    #: Whether stems are kept for the cache, in 32 bits, beside what is delivered.
    keeps: bool = False
    network: float = 1.0e9
    storage_in: float = 4.0e9
    storage_out: float = 2.0e9

    def bytes_in(self, cached: bool) -> float:
        """Read per second of music."""
        return SOURCE_BYTES + (STEM_BYTES["float32"] if cached else 0)

    def bytes_out(self, cached: bool) -> float:
        """Written per second of music."""
        return STEM_BYTES[self.delivery] + (STEM_BYTES["float32"] if self.keeps and not cached else 0)

    def core_seconds(self, cached: bool) -> float:
        """On the cores, per second of music, beside `PER_JOB_S`."""
        alone = 0.0 if cached or self.gpus else SEPARATION[self.separation]
        return BESIDE[self.preset] + alone


def limits(fleet: Fleet) -> dict[str, float]:
    """Seconds of music per second that each part of the fleet allows; the least of them is its throughput.

    With mean song length L, share c of cached songs, B boxes of C cores and G GPUs:
        gpu      B G x / (1 - c)
        cores    B C / (core-seconds per second of music + PER_JOB_S / L)
        network  B w / max(bytes in, bytes out)
        storage  W_in / bytes in,  W_out / bytes out
    """
    c = fleet.cached
    mean_s = MEDIAN_S * float(np.exp(SIGMA**2 / 2))

    def mixed(of: dict[bool, float]) -> float:
        return (1 - c) * of[False] + c * of[True]

    def both(measure: str) -> float:
        return mixed({cached: getattr(fleet, measure)(cached) for cached in (False, True)})

    work = both("core_seconds") + PER_JOB_S / mean_s
    found = {
        "cores": fleet.boxes * fleet.cores / work,
        "network": fleet.boxes * fleet.network / max(both("bytes_in"), both("bytes_out")),
        "storage in": fleet.storage_in / both("bytes_in"),
        "storage out": fleet.storage_out / both("bytes_out"),
    }
    if fleet.gpus and c < 1:
        found["gpu"] = fleet.boxes * fleet.gpus * fleet.gpu_realtime / (1 - c)
    return found


def lengths(songs: int, seed: int) -> np.ndarray:
    """Seconds of each song."""
    return MEDIAN_S * np.exp(SIGMA * np.random.default_rng(seed).standard_normal(songs))


def simulate(fleet: Fleet, songs: int, seed: int) -> tuple[float, int]:
    """Hours until the last song is delivered, and how many were begun again.

    Whichever box can begin first takes the next song. In a box four stages follow each other, each with one
    song at a time: fetch (at most two songs ahead), separate, the rest, deliver. Storage serves one transfer
    at a time at its whole rate. A box that is lost forgets the song it was at.
    """
    rng = np.random.default_rng(seed + 1)
    seconds = lengths(songs, seed)
    hit = rng.random(songs) < fleet.cached
    losses = HOURS_BETWEEN_LOSSES * 3600
    next_loss = rng.exponential(losses, fleet.boxes)
    #: Per box: when each stage is free; fetches wait for the separation of the song before the last.
    fetched, separated, finished, delivered = (np.zeros(fleet.boxes) for _ in range(4))
    before_last = np.zeros(fleet.boxes)
    boxes = [(0.0, box) for box in range(fleet.boxes)]
    storage_in = storage_out = end = 0.0
    again = 0
    for length, cached in zip(seconds, hit, strict=True):
        while True:
            _, box = heapq.heappop(boxes)
            size = length * fleet.bytes_in(bool(cached))
            asked = max(fetched[box], before_last[box], storage_in)
            storage_in = asked + size / fleet.storage_in
            arrives = asked + max(size / fleet.network, size / fleet.storage_in)
            gpu = 0.0 if cached or not fleet.gpus else length / (fleet.gpu_realtime * fleet.gpus)
            cores = (length * fleet.core_seconds(bool(cached)) + PER_JOB_S) / fleet.cores
            done = max(arrives, separated[box]) + gpu
            whole = max(done, finished[box]) + cores
            if whole <= next_loss[box]:
                break
            again += 1
            back = max(next_loss[box], arrives) + RESTART_S
            next_loss[box] = back + rng.exponential(losses)
            for stage in (fetched, separated, finished, before_last):
                stage[box] = back
            heapq.heappush(boxes, (back, box))
        before_last[box] = separated[box]
        fetched[box], separated[box], finished[box] = arrives, done, whole
        size = length * fleet.bytes_out(bool(cached))
        asked = max(whole, delivered[box], storage_out)
        storage_out = asked + size / fleet.storage_out
        delivered[box] = asked + max(size / fleet.network, size / fleet.storage_out)
        end = max(end, delivered[box])
        heapq.heappush(boxes, (max(arrives, done if fleet.gpus else whole), box))
    return end / 3600, again


def fleets(gpu_realtime: float) -> list[Fleet]:
    gpu = Fleet("GPU, 16 cores", 1, 16, 1, gpu_realtime)
    cpu = Fleet("32 cores", 1, 32)
    return [
        cpu,
        replace(cpu, separation="reduced"),
        gpu,
        replace(gpu, preset="none"),
        replace(gpu, preset="maximum"),
        replace(cpu, boxes=20),
        replace(gpu, boxes=20),
        replace(gpu, boxes=20, cores=32),
        replace(gpu, boxes=20, delivery="float32"),
        replace(gpu, boxes=20, keeps=True),
        replace(gpu, boxes=20, cached=1.0),
        replace(gpu, boxes=100),
        replace(gpu, boxes=100, delivery="float32", keeps=True),
    ]


def table(songs: int, seed: int, gpu_realtime: float) -> None:
    music_s = float(lengths(songs, seed).sum())
    print(f"{songs:,} songs, {music_s / 3600:,.0f} hours of music, seed {seed}\n")
    print(
        "| box | boxes | preset | delivery | stems in cache | x realtime | held up by | hours | simulated |"
    )
    print("|---|---:|---|---|---|---:|---|---:|---:|")
    for fleet in fleets(gpu_realtime):
        found = limits(fleet)
        least = min(found, key=lambda part: found[part])
        hours = music_s / found[least] / 3600
        simulated, again = simulate(fleet, songs, seed)
        box = fleet.name if fleet.gpus == 0 else f"GPU, {fleet.cores} cores"
        box += ", reduced" if fleet.separation == "reduced" else ""
        cache = "all" if fleet.cached == 1 else "kept" if fleet.keeps else "no"
        print(
            f"| {box} | {fleet.boxes} | {fleet.preset} | {fleet.delivery} | {cache} | "
            f"{found[least]:,.0f} | {least} | {hours:,.1f} | {simulated:,.1f} ({again} again) |"
        )
    print("\n| 100,000 songs as | TB |\n|---|---:|")
    for name, rate in [("source, flac16", SOURCE_BYTES), *STEM_BYTES.items()]:
        print(f"| {name if 'source' in name else f'four stems, {name}'} | {music_s * rate / 1e12:.1f} |")


def flac(paths: list[Path]) -> None:
    import soundfile

    for subtype, bits in (("PCM_16", 16), ("PCM_24", 24)):
        total = seconds = plain = 0.0
        for path in paths:
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
            held = io.BytesIO()
            soundfile.write(held, np.clip(audio, -1, 1), rate, format="FLAC", subtype=subtype)
            total += held.getbuffer().nbytes
            plain += audio.size * bits / 8
            seconds = len(audio) / rate
        print(f"FLAC {bits}: {total / seconds:,.0f} bytes per second, {total / plain:.2f} of PCM")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--songs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu-realtime", type=float, default=GPU_REALTIME)
    parser.add_argument("--flac", type=Path, nargs="+", metavar="STEM")
    arguments = parser.parse_args()
    if arguments.flac:
        flac(arguments.flac)
    else:
        table(arguments.songs, arguments.seed, arguments.gpu_realtime)


if __name__ == "__main__":
    main()

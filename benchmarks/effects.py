"""What each effect, repair and chain costs: CPU seconds per 10 s of 44.1 kHz stereo, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/effects.py [--seconds 30] [--rounds 3] [--only NAME,...]

Two figures each: on the demo song, where most detectors find nothing, and on a song with every damage at once
(clipped, clicks, comb, hum, hiss, low-passed at 12 kHz). Analysis and rendering together, the least of the
rounds; imports and compilation are not counted.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import soundfile
from damage import clicks, clip, comb, hiss, hum, low_pass
from material import FRAMES, RATE, levelled

from engine.processors.presets import load, processors
from engine.processors.processor import Processor
from engine.processors.registry import EFFECTS, effects
from presets.loader import list_presets

DEMO = Path(__file__).resolve().parents[1] / "examples" / "demo.flac"


def songs(seconds: float) -> dict[str, np.ndarray]:
    demo = soundfile.read(DEMO, always_2d=True)[0].T
    clean = levelled(demo[:, :FRAMES])
    rng = np.random.default_rng(0)
    damaged = clean
    for make in (low_pass(12000), comb(16), hiss(35), hum, clicks, clip):
        damaged, _ = make(damaged, rng)
    repeats = max(round(seconds * RATE / FRAMES), 1)
    return {
        name: np.tile(audio, repeats).astype(np.float32)
        for name, audio in (("clean", clean), ("damaged", damaged))
    }


def cpu_s(chain: list[Processor], audio: np.ndarray, rounds: int) -> float:
    best = np.inf
    for _ in range(rounds):
        began = time.process_time()
        signal = audio
        for effect in chain:
            signal = effect.apply(signal, RATE)
        best = min(best, time.process_time() - began)
    return best * 10 * RATE / audio.shape[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    only = [word for word in options.only.split(",") if word]
    material = songs(options.seconds)
    chains: dict[str, list[Processor]] = {name: [effects()[name]()] for name in EFFECTS}
    for entry in list_presets():
        if entry.path is None:
            preset = load(entry.name)
            for part, steps in {"repair": preset.repair, **preset.chains, "mix": preset.mix.chain}.items():
                if steps:
                    chains[f"preset {entry.name}, {part}"] = list(processors(steps))
    print("| effect or chain | clean | damaged | times real time, damaged |\n|---|---|---|---|")
    for name, chain in chains.items():
        if only and not any(word in name for word in only):
            continue
        cpu_s(chain, material["damaged"][:, : 3 * RATE], 1)
        clean, damaged = (cpu_s(chain, audio, options.rounds) for audio in material.values())
        print(f"| {name} | {clean:.3f} | {damaged:.3f} | {10 / max(damaged, 1e-9):.0f} |", flush=True)


if __name__ == "__main__":
    main()

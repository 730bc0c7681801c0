"""Every repair on the damage it is for, on clean music, and beside the recipes that are passed around.

    OMP_NUM_THREADS=1 python benchmarks/repair.py [--real FOLDER ...] [--half tune|report|all] [--only NAME]

Material: four songs from numpy, four from fluidsynth and an excerpt of every recording in the folders given;
every second of each kind is for tuning, the others for the report. Each damage is made with known truth; the
table has, before and after: SI-SDR, log-spectral distance over all and per band, log-mel distance
(engine/metrics) and the damage's own number. Harm is what a repair does to clean music: whether it fires, and
SI-SDR to the untouched. Times are CPU seconds per 10 s of stereo, analysis and rendering, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from damage import DAMAGES, Damage
from material import RATE, SECONDS, Item, Stereo, items
from naive import NAIVE

from engine.audio.buffer import AudioBuffer
from engine.metrics.log_mel_distance import log_mel_distance_db
from engine.metrics.log_spectral_distance import log_spectral_distance
from engine.metrics.si_sdr import si_sdr_db
from engine.processors.registry import EFFECTS, effects

BEST_DB = 150.0
METHODS = ("damaged", "stemfix", *NAIVE)


@dataclass
class Grade:
    damage: str
    item: str
    method: str
    si_sdr_db: float
    lsd_db: float
    lsd_bands_db: list[float]
    log_mel_db: float
    own: float
    cpu_s: float


@dataclass
class Harm:
    effect: str
    item: str
    fired: bool
    si_sdr_db: float
    cpu_s: float


def repaired(audio: Stereo, chain: tuple[tuple[str, dict], ...]) -> Stereo:
    signal = audio.astype(np.float32)
    for name, settings in chain:
        signal = effects()[name](**settings).apply(signal, RATE)
    return signal.astype(np.float64)


def grade(
    name: str, damage: Damage, item: Item, method: str, clean: Stereo, damaged: Stereo, info: dict
) -> Grade:
    began = time.process_time()
    found = damaged
    if method == "stemfix":
        found = repaired(damaged, damage.chain)
    elif method in NAIVE:
        found = NAIVE[method](damaged)
    cpu_s = (time.process_time() - began) * 10 / SECONDS
    truth, buffer = AudioBuffer.of(clean, RATE), AudioBuffer.of(found, RATE)
    spectral = log_spectral_distance(truth, buffer)
    return Grade(
        name,
        item.name,
        method,
        min(si_sdr_db(truth, buffer), BEST_DB),
        spectral.distance_db,
        [band.distance_db for band in spectral.bands],
        log_mel_distance_db(truth, buffer),
        damage.own(clean, found, damaged, info),
        cpu_s,
    )


def run(material: list[Item], only: list[str], methods: list[str]) -> list[Grade]:
    grades: list[Grade] = []
    for name, damage in DAMAGES.items():
        if (only and not any(word in name for word in only)) or any(
            step not in EFFECTS for step, _ in damage.chain
        ):
            continue
        for item in material:
            clean = item.mix if damage.part == "mix" else item.stems.get(damage.part)
            if clean is None:
                continue
            rng = np.random.default_rng(zlib.crc32(f"{name}/{item.name}".encode()))
            damaged, info = damage.make(clean, rng)
            for method in methods:
                grades.append(grade(name, damage, item, method, clean, damaged, info))
        print(table(grades, name, header=False), flush=True)
    return grades


def harm(material: list[Item], only: list[str]) -> list[Harm]:
    found = []
    wanted = dict.fromkeys(step for damage in DAMAGES.values() for step, _ in damage.chain if step in EFFECTS)
    for name in wanted:
        if only and not any(word in name for word in only):
            continue
        effect = effects()[name]()
        for item in material:
            clean = item.stems.get("drums", item.mix) if name == "pre_echo" else item.mix
            source = AudioBuffer.of(clean, RATE)
            into = source.like()
            began = time.process_time()
            report = effect.process(source, into)
            cpu_s = (time.process_time() - began) * 10 / SECONDS
            value = min(si_sdr_db(source, into), BEST_DB)
            found.append(Harm(name, item.name, bool(report["applied"]), value, cpu_s))
    return found


def table(grades: list[Grade], only: str | None = None, header: bool = True) -> str:
    lines = []
    if header:
        lines += [
            "| damage | method | SI-SDR (worst), dB | LSD, dB | per band | log-mel | own number | CPU s |",
            "|---|---|---|---|---|---|---|---|",
        ]
    for name, damage in DAMAGES.items():
        if only not in (None, name):
            continue
        for method in METHODS:
            rows = [row for row in grades if (row.damage, row.method) == (name, method)]
            if not rows:
                continue
            mean = {
                key: np.nanmean([getattr(row, key) for row in rows])
                for key in ("si_sdr_db", "lsd_db", "log_mel_db", "own", "cpu_s")
            }
            worst = min(row.si_sdr_db for row in rows)
            bands = " ".join(f"{value:.1f}" for value in np.mean([row.lsd_bands_db for row in rows], axis=0))
            own = f"{mean['own']:.1f} {damage.unit}" if method == "damaged" else f"{mean['own']:.1f}"
            label = (
                f"**{method}** ({' > '.join(step for step, _ in damage.chain)})"
                if method == "stemfix"
                else method
            )
            cpu = "" if method == "damaged" else f"{mean['cpu_s']:.2f}"
            lines.append(
                f"| {name if method == 'damaged' else ''} | {label} | {mean['si_sdr_db']:.1f} ({worst:.1f}) "
                f"| {mean['lsd_db']:.2f} | {bands} | {mean['log_mel_db']:.2f} | {own} | {cpu} |"
            )
    return "\n".join(lines)


def harm_table(found: list[Harm]) -> str:
    lines = [
        "| repair | fired on | worst SI-SDR to the clean, dB | CPU s / 10 s where it did not fire |",
        "|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.effect for row in found):
        rows = [row for row in found if row.effect == name]
        fired = [row.item for row in rows if row.fired]
        worst = min(row.si_sdr_db for row in rows)
        quiet = [row.cpu_s for row in rows if not row.fired]
        which = f" ({', '.join(fired)})" if fired else ""
        untouched = "untouched" if worst >= BEST_DB else f"{worst:.1f}"
        cpu = f"{np.median(quiet):.3f}" if quiet else "-"
        lines.append(f"| {name} | {len(fired)} of {len(rows)}{which} | {untouched} | {cpu} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of recordings")
    parser.add_argument("--half", choices=["tune", "report", "all"], default="report")
    parser.add_argument("--only", default="", help="parts of damages' or effects' names, separated by commas")
    parser.add_argument("--items", default="", help="names of items, separated by commas; all of the half")
    parser.add_argument("--methods", default=",".join(METHODS), help="which of these")
    parser.add_argument("--no-harm", action="store_true", help="leave the clean items out")
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    only = [word for word in options.only.split(",") if word]
    material = items(options.real, "all")
    names = [name for name in options.items.split(",") if name]
    half = [item for item in material if options.half in ("all", item.half)]
    half = [item for item in half if not names or item.name in names]
    # Warm-up: imports and compilation are no part of the times.
    for name in EFFECTS:
        effects()[name]().apply(half[0].mix[:, : 2 * RATE].astype(np.float32), RATE)
    print(f"Material: {', '.join(item.name for item in half)}\n")
    # No detector may fire on any clean item, of either half.
    found = [] if options.no_harm else harm(material, only)
    print(harm_table(found), flush=True)
    grades = run(half, only, options.methods.split(","))
    print("\n" + table(grades))
    if options.json:
        rows = {"grades": [asdict(row) for row in grades], "harm": [asdict(row) for row in found]}
        options.json.write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

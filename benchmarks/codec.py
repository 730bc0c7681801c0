"""Every preset on what neural codecs made of real recordings, and on the recordings themselves.

    python benchmarks/codec.py FOLDER [--presets fast,balanced] [--seconds 30] [--songs NAME,...] [--json OUT]

FOLDER holds `real/NAME.*` and, for each codec, `CODEC/NAME.*`, aligned to the sample. A file may be longer
than the real one. Each is brought to the real one's RMS level, run through each preset, brought to that level
again, and held against the real recording: log-mel distance, log-spectral distance and multi-resolution STFT
distance (engine/metrics), before and after; and shimmer and comb residue of what comes out. Presets that
separate do so with htdemucs in its standard quality, so that stems come from one cache.

The exit status is 1 if a preset moves a pair further from the truth by more than 0.05 dB, or a real recording
by more than 0.5 dB of log-mel distance.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from engine.audio.buffer import AudioBuffer
from engine.job import JobSpec
from engine.metrics.comb_residue import comb_residue
from engine.metrics.log_mel_distance import log_mel_distance_db
from engine.metrics.log_spectral_distance import log_spectral_distance
from engine.metrics.mr_stft import mr_stft_distance
from engine.metrics.shimmer_index import shimmer_index
from engine.models import WHOLE
from engine.pipeline import run_job
from engine.processors.presets import load
from presets.loader import list_presets

#: A codec's pair may move away from the truth by so much, the real recording by so much, in dB.
MOST_AWAY_DB, MOST_HARM_DB = 0.05, 0.5
REAL = "real"


@dataclass
class Row:
    """One file through one preset."""

    codec: str
    song: str
    preset: str
    log_mel_db: tuple[float, float]
    log_spectral_db: tuple[float, float]
    mr_stft: tuple[float, float]
    shimmer_db: tuple[float | None, float | None]
    comb_db: tuple[float, float]

    @property
    def moved_db(self) -> float:
        """Log-mel distance gained; negative is closer to the truth."""
        return self.log_mel_db[1] - self.log_mel_db[0]


def read(path: Path) -> tuple[np.ndarray, int]:
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return audio.T, rate


def matched(audio: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`audio` at the RMS level of `reference`."""
    power = float(np.mean(np.square(audio, dtype=np.float64)))
    wanted = float(np.mean(np.square(reference, dtype=np.float64)))
    return (audio * np.sqrt(wanted / max(power, 1e-30))).astype(np.float32)


def process(audio: np.ndarray, rate: int, preset: str) -> np.ndarray:
    """The mix that a preset makes of `audio`."""
    with tempfile.TemporaryDirectory(prefix="stemfix-codec-") as folder:
        source = Path(folder) / "source.wav"
        soundfile.write(source, audio.T, rate, subtype="FLOAT")
        model = WHOLE if load(preset).quality == WHOLE else "htdemucs"
        result = run_job(JobSpec(source=source, out_dir=Path(folder), preset=preset, model=model, force=True))
        assert result.manifest.mix is not None
        return read(result.folder / result.manifest.mix.file)[0]


def measure(truth: AudioBuffer, audio: np.ndarray) -> tuple[float, float, float, float | None, float]:
    buffer = AudioBuffer.of(audio, truth.sample_rate)
    return (
        log_mel_distance_db(truth, buffer),
        log_spectral_distance(truth, buffer).distance_db,
        mr_stft_distance(truth, buffer).distance,
        shimmer_index(buffer).flicker_db,
        comb_residue(buffer).level_db,
    )


def run(folder: Path, presets: list[str], songs: list[str], seconds: float) -> list[Row]:
    rows = []
    codecs = [REAL, *sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != REAL)]
    for real_path in sorted((folder / REAL).iterdir()):
        if songs and real_path.stem not in songs:
            continue
        real, rate = read(real_path)
        # Room for a true peak that a preset would limit: what is measured here is what it does to the sound.
        real = real[:, : round(seconds * rate)] * np.float32(0.5)
        truth = AudioBuffer.of(real, rate)
        for codec in codecs:
            found, codec_rate = read(next((folder / codec).glob(f"{real_path.stem}.*")))
            assert codec_rate == rate
            audio = matched(found[:, : real.shape[1]], real)
            before = measure(truth, audio)
            for preset in presets:
                after = measure(truth, matched(process(audio, rate, preset), real))
                rows.append(Row(codec, real_path.stem, preset, *zip(before, after, strict=True)))
                show(rows[-1])
    return rows


def show(row: Row) -> None:
    mel, lsd, mr = row.log_mel_db, row.log_spectral_db, row.mr_stft
    shimmer = [f"{value:.2f}" if value is not None else "-" for value in row.shimmer_db]
    print(
        f"{row.codec:10s} {row.song:8s} {row.preset:16s} mel {mel[0]:.3f} {row.moved_db:+.3f}  "
        f"lsd {lsd[0]:.2f} {lsd[1] - lsd[0]:+.3f}  mr-stft {mr[0]:.3f} {mr[1] - mr[0]:+.4f}  "
        f"shimmer {shimmer[0]} -> {shimmer[1]}  comb {row.comb_db[0]:.1f} -> {row.comb_db[1]:.1f}",
        flush=True,
    )


def table(rows: list[Row]) -> str:
    """Markdown: per codec and preset the mean over songs before, and the change, song by song for log-mel."""
    lines = [
        "| codec | preset | log-mel before | change, per song | log-spectral before | change "
        "| MR-STFT before | change | shimmer before → after | comb before → after |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.codec, row.preset].append(row)
    for (codec, preset), group in groups.items():
        mel, lsd, mr, comb = (
            np.array([getattr(row, name) for row in group]).mean(0)
            for name in ("log_mel_db", "log_spectral_db", "mr_stft", "comb_db")
        )
        shimmer = np.array([row.shimmer_db for row in group], float)
        songs = " / ".join(f"{row.moved_db:+.3f}" for row in group)
        lines.append(
            f"| {codec} | {preset} | {mel[0]:.2f} | {songs} | {lsd[0]:.2f} | {lsd[1] - lsd[0]:+.2f} "
            f"| {mr[0]:.3f} | {mr[1] - mr[0]:+.3f} "
            f"| {np.nanmean(shimmer[:, 0]):.2f} → {np.nanmean(shimmer[:, 1]):.2f} "
            f"| {comb[0]:.1f} → {comb[1]:.1f} |"
        )
    return "\n".join(lines)


def broken(rows: list[Row]) -> list[Row]:
    """What moved further from the truth than it may."""
    return [row for row in rows if row.moved_db > (MOST_HARM_DB if row.codec == REAL else MOST_AWAY_DB)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--presets", help="names, separated by commas; all that come with stemfix by default")
    parser.add_argument("--songs", default="", help="names of files in real/ without their ending")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", type=Path, metavar="OUT")
    options = parser.parse_args()
    built_in = [entry.name for entry in list_presets() if entry.path is None]
    presets = options.presets.split(",") if options.presets else built_in
    rows = run(options.folder, presets, [name for name in options.songs.split(",") if name], options.seconds)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    print(table(rows))
    for row in broken(rows):
        print(f"TOO FAR: {row.codec} {row.song} {row.preset} {row.moved_db:+.3f} dB", file=sys.stderr)
    return 1 if broken(rows) else 0


if __name__ == "__main__":
    sys.exit(main())

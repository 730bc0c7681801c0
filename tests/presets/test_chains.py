"""Every preset's chains as a whole: nothing moves, and a softer song gives softer stems."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from engine.alignment.estimate import estimate_alignment
from engine.alignment.verdict import Verdict, judge
from engine.audio.buffer import Audio, AudioBuffer
from engine.processors.chain import run_chain
from engine.processors.presets import load, processors
from engine.processors.processor import Processor
from presets.preset import SONG

STEMS = Path(__file__).parents[2] / "examples" / "stems"
NAMES = ("fast", "balanced", "maximum", "restore", "gentle-master")
NAMES += ("acoustic", "electronic", "spoken", "vocal-forward")
SECONDS = 5
#: The chain on the sum of the stems, before its loudness and limiter.
MIX = "mix"


@lru_cache
def stem(name: str) -> tuple[Audio, int]:
    """Some seconds of a stem of the example; the whole song for those that it has none of."""
    import soundfile

    if name in ("guitar", "piano"):
        name = "other"
    if not (STEMS / f"{name}.flac").exists():
        parts = [stem(part) for part in ("vocals", "drums", "bass", "other")]
        return sum(part for part, _ in parts), parts[0][1]
    with soundfile.SoundFile(STEMS / f"{name}.flac") as file:
        file.seek(6 * file.samplerate)
        audio = file.read(SECONDS * file.samplerate, dtype="float32", always_2d=True).T
        return audio, file.samplerate


def chains(preset: str) -> dict[str, tuple[Processor, ...]]:
    """What a preset does to a recording, by where."""
    found = load(preset)
    named = {**found.chains, MIX: found.mix.chain, "repair": found.repair}
    return {name: processors(chain) for name, chain in named.items() if chain}


CASES = [
    pytest.param(preset, name, chain, id=f"{preset}-{name}")
    for preset in NAMES
    for name, chain in chains(preset).items()
]


def run(chain: tuple[Processor, ...], audio: Audio, rate: int, folder: Path) -> Audio:
    out, _ = run_chain(chain, AudioBuffer.of(audio, rate), folder / f"{len(list(folder.iterdir()))}", folder)
    return out.to_array()


def db(error: Audio, reference: Audio) -> float:
    power = float(np.mean(np.square(error, dtype=np.float64)))
    return 10 * float(np.log10(power / float(np.mean(np.square(reference, dtype=np.float64))) + 1e-30))


@pytest.mark.parametrize(("preset", "name", "chain"), CASES)
def test_nothing_moves_and_a_softer_song_comes_out_softer(
    preset: str, name: str, chain: tuple[Processor, ...], tmp_path: Path
) -> None:
    audio, rate = stem(name)
    out = run(chain, audio, rate, tmp_path)
    assert out.shape == audio.shape
    assert np.isfinite(out).all()
    assert np.all(np.abs(out.mean(axis=1)) <= np.abs(audio.mean(axis=1)) + 1e-4)
    judgement = judge(estimate_alignment(AudioBuffer.of(audio, rate), AudioBuffer.of(out, rate)))
    assert judgement.verdict is Verdict.PASS, judgement.reasons
    softer = run(chain, audio * np.float32(0.1), rate, tmp_path)
    assert db(10 * softer - out, out) < -60


def test_the_song_itself_is_nearly_left_alone_by_a_light_preset(tmp_path: Path) -> None:
    audio, rate = stem(SONG)
    for preset in ("fast", "restore"):
        out = run(chains(preset)[SONG], audio, rate, tmp_path)
        assert db(out - audio, audio) < -15

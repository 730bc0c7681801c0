"""Compose and render the demo song: 20 s, F major, 108 beats a minute, with its four true stems.

    python examples/make_demo.py            writes demo.flac and stems/*.flac beside this file

Needs, beside stemfix's own packages: mido (in the `dev` extra), the programs fluidsynth and flite, and the
soundfont FluidR3_GM (Debian: fluidsynth flite fluid-soundfont-gm). The soundfont is by Frank Wen, under the
MIT licence; flite and its voice are under a BSD-style licence. The words and the music are of this project.

The same versions of these programs render the same bytes: all chance comes from one seed. Stems are rounded
to whole numbers first and the mix is the sum of those numbers, so the stems sum to the mix exactly.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import numpy.typing as npt
import soundfile as sf
from pedalboard import (
    Compressor,
    HighpassFilter,
    HighShelfFilter,
    LowShelfFilter,
    PeakFilter,
    Pedalboard,
    Reverb,
)
from singing import Note, sing
from song import BARS, LINES, TEMPO_BPM, Event, bass, bells, chord_tone_below, drums, guitar, keys, strings

Stereo = npt.NDArray[np.float64]
SAMPLE_RATE = 44100
BEAT_S = 60.0 / TEMPO_BPM
FRAMES = round(BARS * 4 * BEAT_S * SAMPLE_RATE)
TICKS = 480
PEAK_DBFS = -1.0
#: Stems are rounded to this many bits and stored in 24, so that FLAC keeps them small.
STEM_BITS = 20
SOUNDFONTS = ("/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/soundfonts/FluidR3_GM.sf2")


def render(events: Iterable[Event], program: int, rng: np.random.Generator, drum_kit: bool = False) -> Stereo:
    """`events` played by fluidsynth, dry, shape (2, FRAMES), with timing and force humanised."""
    channel = 9 if drum_kit else 0
    timed: list[tuple[int, int, int, int]] = []
    for beat, length, pitch, velocity in events:
        start = max(0.0, beat + rng.normal(0.0, 0.006))
        force = int(np.clip(velocity + rng.integers(-5, 6), 1, 127))
        timed += [(round(start * TICKS), 1, pitch, force), (round((start + length) * TICKS), 0, pitch, 0)]
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(TEMPO_BPM))])
    track.append(mido.Message("program_change", program=program, channel=channel))
    now = 0
    for tick, on, pitch, force in sorted(timed):
        kind = "note_on" if on else "note_off"
        track.append(mido.Message(kind, note=pitch, velocity=force, channel=channel, time=tick - now))
        now = tick
    song = mido.MidiFile(ticks_per_beat=TICKS)
    song.tracks.append(track)
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "part.mid", Path(folder) / "part.wav"
        song.save(midi)
        command = ["fluidsynth", "-niq", "-R", "0", "-C", "0", "-g", "0.6", "-r", str(SAMPLE_RATE)]
        command += ["-O", "float", "-T", "wav", "-F", str(wav), soundfont(), str(midi)]
        subprocess.run(command, check=True, capture_output=True)
        played, _ = sf.read(wav, dtype="float64", always_2d=True)
    out = np.zeros((2, FRAMES))
    count = min(FRAMES, played.shape[0])
    out[:, :count] = played[:count].T
    return out


def soundfont() -> str:
    """The first soundfont that is there."""
    for path in SOUNDFONTS:
        if Path(path).exists():
            return path
    raise SystemExit("FluidR3_GM.sf2 is missing. On Debian: apt-get install fluid-soundfont-gm")


def pan(audio: Stereo, position: float) -> Stereo:
    """Equal-power placement of a part, -1 left to 1 right."""
    angle = (position + 1.0) * np.pi / 4.0
    return np.stack([audio[0] * np.cos(angle), audio[1] * np.sin(angle)]) * np.sqrt(2.0)


def level(audio: Stereo, rms_dbfs: float) -> Stereo:
    """`audio` at `rms_dbfs` over the parts where it sounds."""
    power = np.square(audio).mean(0)
    sounding = power > 1e-4 * power.max()
    return audio * 10.0 ** (rms_dbfs / 20.0) / np.sqrt(power[sounding].mean())


def even(line: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """One sung line, shape (FRAMES,), at a common level."""
    return level(line[np.newaxis], -18.0)[0]


def through(board: Pedalboard, audio: Stereo) -> Stereo:
    """`audio` through a chain of effects."""
    return np.asarray(board(audio.astype(np.float32), SAMPLE_RATE, reset=True), float)


def vocals(rng: np.random.Generator) -> Stereo:
    """The lead in the middle; in the lift two quiet voices below it, left and right."""
    lead, left, right = np.zeros((3, FRAMES))
    for number, (text, syllables) in enumerate(LINES):
        notes = [Note(beat * BEAT_S, length * BEAT_S, pitch) for beat, length, pitch in syllables]
        under = [
            Note(beat * BEAT_S, length * BEAT_S, chord_tone_below(beat, pitch))
            for beat, length, pitch in syllables
        ]
        # The very first consonant needs room before the beat.
        late = 0.06 if number == 0 else 0.0
        notes[0] = replace(notes[0], start_s=notes[0].start_s + late, length_s=notes[0].length_s - late)
        # flite speaks higher lines more quietly; a singer does not.
        lead += even(sing(text, notes, FRAMES, SAMPLE_RATE, rng))
        if number >= 2:
            for side, shift_s in ((left, 0.012), (right, 0.021)):
                double = [replace(note, start_s=note.start_s + shift_s) for note in under]
                side += even(sing(text, double, FRAMES, SAMPLE_RATE, rng))
    voice = np.stack([lead + 0.28 * left, lead + 0.28 * right])
    board = Pedalboard(
        [
            HighpassFilter(110),
            PeakFilter(300, -3.0, 0.9),
            PeakFilter(3200, 2.0, 0.8),
            HighShelfFilter(7500, 5.0),
            Compressor(threshold_db=-24, ratio=3.0, attack_ms=4, release_ms=120),
        ]
    )
    dry = through(board, level(voice, -18.0))
    return dry + 0.7 * through(
        Pedalboard([HighpassFilter(250), Reverb(0.45, 0.5, wet_level=0.22, dry_level=0.0)]), dry
    )


def compose(seed: int = 3) -> dict[str, Stereo]:
    """The four stems, shape (2, FRAMES), with the peak of their sum at PEAK_DBFS."""
    rng = np.random.default_rng(seed)
    room = Pedalboard([HighpassFilter(200), Reverb(0.35, 0.6, wet_level=0.2, dry_level=0.0)])
    kit = render(drums(), 0, rng, drum_kit=True)
    kit = through(
        Pedalboard([Compressor(-16, 2.5, 12, 90), LowShelfFilter(90, 2.0), HighShelfFilter(8000, 2.0)]), kit
    )
    kit = level(kit, -17.5)
    low = through(
        Pedalboard([Compressor(-20, 3.0, 10, 120), PeakFilter(800, 2.0, 0.8)]), render(bass(), 33, rng)
    )
    band = pan(level(render(keys(), 4, rng), -25.0), -0.3) + pan(
        level(render(guitar(), 25, rng), -25.0), 0.45
    )
    band += level(render(strings(), 48, rng), -28.5) + pan(level(render(bells(), 11, rng), -29.0), 0.2)
    stems = {
        "vocals": level(vocals(rng), -18.3),
        "drums": kit + 0.35 * through(room, kit),
        "bass": level(low, -20.5),
        "other": band + 0.6 * through(room, band),
    }
    fade = np.clip((FRAMES - np.arange(FRAMES)) / (0.5 * SAMPLE_RATE), 0.0, 1.0)
    stems = {name: audio * fade for name, audio in stems.items()}
    gain = 10.0 ** (PEAK_DBFS / 20.0) / np.abs(sum(stems.values())).max()
    return {name: audio * gain for name, audio in stems.items()}


def whole_numbers(audio: Stereo, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """`audio` rounded to STEM_BITS with triangular dither, as 24-bit values."""
    dither = rng.random(audio.shape) - rng.random(audio.shape)
    scale = 2.0 ** (STEM_BITS - 1)
    return (np.rint(audio * scale + dither).astype(np.int32)) << (24 - STEM_BITS)


def write(path: Path, values: npt.NDArray[np.int32]) -> None:
    """`values`, 24-bit and shape (channels, frames), as FLAC."""
    sf.write(path, (values << 8).T, SAMPLE_RATE, subtype="PCM_24", format="FLAC", compression_level=1.0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render into a folder."""
    parser = argparse.ArgumentParser(description="Compose and render the demo song and its true stems.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    folder = parser.parse_args(arguments).folder
    (folder / "stems").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rounded = {name: whole_numbers(audio, rng) for name, audio in compose().items()}
    for name, values in rounded.items():
        write(folder / "stems" / f"{name}.flac", values)
    write(folder / "demo.flac", np.sum(list(rounded.values()), axis=0, dtype=np.int32))


if __name__ == "__main__":
    main()

"""Music to damage and repair: songs synthesised with their true stems, and excerpts of recordings.

Two families are made here: songs played by fluidsynth with the soundfont FluidR3_GM (Debian: fluidsynth,
fluid-soundfont-gm; needs mido), and songs from numpy alone: plucked strings (Karplus and Strong 1983),
drums of noise and swept sines, a saw bass, and a voice of formants, which has pauses. All are 44.1 kHz
stereo, 10 s.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 44100
SECONDS = 10
FRAMES = RATE * SECONDS
PEAK = 0.8
ENDINGS = {".ogg", ".mp3", ".flac", ".wav"}
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")

Stereo = npt.NDArray[np.float64]
#: (second, seconds, MIDI pitch, velocity)
Note = tuple[float, float, int, int]


@dataclass
class Item:
    """A clean piece; `half` says whether constants may be tuned on it or only be checked on it."""

    name: str
    kind: str
    mix: Stereo
    stems: dict[str, Stereo] = field(default_factory=dict)
    half: str = "report"


def items(folders: Iterable[Path] = (), half: str = "all") -> list[Item]:
    """The material: four songs of each family and an excerpt of every recording in `folders`."""
    pieces = [numpy_song(seed) for seed in range(4)]
    if shutil.which("fluidsynth") and SOUNDFONT.exists():
        pieces += [fluid_song(seed) for seed in range(4)]
    else:
        print("fluidsynth or FluidR3_GM is missing: its songs are left out.")
    for folder in folders:
        pieces += [
            excerpt(path)
            for path in sorted(folder.iterdir())
            if path.suffix in {".ogg", ".mp3", ".flac", ".wav"}
        ]
    for kind in {piece.kind for piece in pieces}:
        for index, piece in enumerate(piece for piece in pieces if piece.kind == kind):
            piece.half = "tune" if index % 2 == 0 else "report"
    return [piece for piece in pieces if half in ("all", piece.half)]


def excerpt(path: Path) -> Item:
    """10 s from a fifth of the way into a recording."""
    info = soundfile.info(path)
    start = min(info.frames // 5, max(info.frames - FRAMES * info.samplerate // RATE, 0))
    audio, rate = soundfile.read(path, start=start, frames=SECONDS * info.samplerate, always_2d=True)
    if rate != RATE:
        import soxr

        audio = soxr.resample(audio, rate, RATE)
    audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio
    return Item(path.stem, "recording", levelled(fitted(audio.T[:2])))


def levelled(audio: Stereo) -> Stereo:
    return audio * (PEAK / max(float(np.abs(audio).max()), 1e-9))


def fitted(audio: Stereo) -> Stereo:
    out = np.zeros((2, FRAMES))
    out[:, : min(audio.shape[1], FRAMES)] = audio[:, :FRAMES]
    return out


def _song(name: str, kind: str, stems: dict[str, Stereo], levels: dict[str, float]) -> Item:
    from scipy.signal import butter, sosfiltfilt

    # As a mixing engineer would: nothing under 28 Hz. Plucked strings leave an offset that dies away slowly.
    high_pass = butter(4, 28, "highpass", fs=RATE, output="sos")
    stems = {part: sosfiltfilt(high_pass, audio) for part, audio in stems.items()}
    stems = {part: audio * levels[part] / np.sqrt(np.mean(audio**2)) for part, audio in stems.items()}
    mix = np.sum(list(stems.values()), axis=0)
    gain = PEAK / np.abs(mix).max()
    return Item(name, kind, mix * gain, {part: audio * gain for part, audio in stems.items()})


LEVELS = {"drums": 0.06, "bass": 0.05, "other": 0.05, "vocals": 0.055}


# --- the score ---


@dataclass
class Score:
    drums: list[Note]
    bass: list[Note]
    chords: list[Note]
    tune: list[Note]


def compose(seed: int) -> Score:
    """Ten seconds of four chords; the key, the tempo, the groove and the tune come from the seed."""
    rng = np.random.default_rng(1000 + seed)
    beat = 60.0 / float(rng.choice([76, 92, 104, 120, 132]))
    root = int(rng.integers(43, 54))
    degrees = [[0, 5, 7, 3], [0, 9, 5, 7], [0, 3, 8, 10], [0, 7, 9, 5]][seed % 4]
    third = [4, 4, 3, 4][seed % 4]
    score = Score([], [], [], [])
    for index in range(int(SECONDS / beat)):
        at, low = index * beat, root + degrees[(index // 4) % 4]
        chord = [low + 12, low + 12 + third, low + 19]
        score.drums.append((at, 0.2, 36 if index % 2 == 0 else 38, 110))
        for half in range(2):
            score.drums.append((at + half * beat / 2, 0.1, 42, 70 + int(rng.integers(25))))
            score.bass.append(
                (at + half * beat / 2, 0.45 * beat, low - 12 + 12 * int(rng.integers(2)) * half, 95)
            )
        if index % 8 == 7:
            score.drums += [(at + beat / 2, 0.2, 47, 95), (at + 0.75 * beat, 0.2, 45, 95)]
        if index % 16 == 0:
            score.drums.append((at, 1.5, 49, 96))
        length = beat * (0.9 if seed % 2 else 1.9)
        if seed % 2 or index % 2 == 0:
            score.chords += [(at, length, pitch, 70 + int(rng.integers(20))) for pitch in chord]
        if index % 4 != 3:
            score.tune.append((at + 0.02, beat * 0.9, int(rng.choice([*chord, low + 21])) + 12, 85))
    return score


# --- numpy ---


def hertz(pitch: float) -> float:
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def _lay(notes: list[Note], play: Callable[[Note], npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    out = np.zeros(FRAMES)
    for note in notes:
        start = round(note[0] * RATE)
        sound = play(note)[: max(FRAMES - start, 0)] * note[3] / 100
        out[start : start + len(sound)] += sound
    return out


def pluck(note: Note, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A plucked string: noise through a loop with a two-point average."""
    from scipy.signal import lfilter

    period = RATE / hertz(note[2])
    delay = int(period - 0.5)
    share = period - 0.5 - delay
    excitation = np.zeros(round((note[1] + 0.6) * RATE))
    excitation[:delay] = rng.uniform(-1, 1, delay)
    feedback = np.zeros(delay + 3)
    feedback[0] = 1.0
    # The average of two samples, delayed by a fraction.
    feedback[delay : delay + 3] = -0.996 * np.convolve([0.5, 0.5], [1 - share, share])
    return np.asarray(lfilter([1.0], feedback, excitation))


def saw(note: Note) -> npt.NDArray[np.float64]:
    time = np.arange(round(note[1] * RATE)) / RATE
    frequency = hertz(note[2])
    orders = np.arange(1, int(6000 / frequency))
    wave = np.sum([np.sin(2 * np.pi * frequency * k * time) / k**1.3 for k in orders], axis=0)
    return np.asarray(
        wave * np.minimum(1, time / 0.005) * np.minimum(1, (time[-1] - time) / 0.02) * np.exp(-1.5 * time)
    )


def hit(note: Note, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    from scipy.signal import butter, sosfilt

    time = np.arange(round(0.6 * RATE)) / RATE
    noise = rng.standard_normal(len(time))
    if note[2] == 36:
        return np.asarray(np.sin(2 * np.pi * (50 * time + 8 * (1 - np.exp(-40 * time)))) * np.exp(-9 * time))
    bands = {38: (300, 9000, 16), 42: (7000, 16000, 45), 49: (3000, 18000, 5)}
    low, high, decay = bands.get(note[2], (100, 2000, 14))
    body = (
        np.sin(2 * np.pi * (190 if note[2] == 38 else 110) * time)
        * np.exp(-22 * time)
        * (note[2] in (38, 45, 47))
    )
    sos = butter(2, [low, high], "bandpass", fs=RATE, output="sos")
    return np.asarray(sosfilt(sos, noise) * np.exp(-decay * time) + 0.7 * body)


VOWELS = {
    "a": (730, 1090, 2440, 3400),
    "i": (270, 2290, 3010, 3600),
    "u": (300, 870, 2240, 3250),
    "e": (530, 1840, 2480, 3500),
    "o": (570, 840, 2410, 3250),
}


def sung(note: Note, vowel: str, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A vibrato tone with breath through four formants."""
    from scipy.signal import lfilter

    time = np.arange(round(note[1] * RATE)) / RATE
    frequency = hertz(note[2]) * (1 + 0.008 * np.sin(2 * np.pi * 5.3 * time) * np.minimum(1, time / 0.25))
    phase = np.cumsum(frequency) / RATE
    orders = np.arange(1, int(16000 / hertz(note[2])))
    source = np.sum([np.sin(2 * np.pi * k * phase) / k**1.3 for k in orders], axis=0)
    source += 0.02 * rng.standard_normal(len(time))
    out = 0.05 * source
    for gain, formant in zip((1, 0.7, 0.45, 0.3), VOWELS[vowel], strict=True):
        radius = np.exp(-np.pi * (60 + formant / 15) / RATE)
        cosine = 2 * radius * np.cos(2 * np.pi * formant / RATE)
        out = out + gain * lfilter([1 - radius], [1, -cosine, radius**2], source)
    return np.asarray(out * np.minimum(1, time / 0.03) * np.minimum(1, (time[-1] - time) / 0.05))


def _voice(notes: list[Note], rng: np.random.Generator) -> Stereo:
    from scipy.signal import butter, fftconvolve, sosfilt

    # Phrases with pauses between them.
    notes = [note for note in notes if note[0] % 5.0 < 3.2]
    voiced = _lay(notes, lambda note: sung(note, "aieou"[note[2] % 5], rng))
    voiced /= np.abs(voiced).max()
    sos = butter(2, [5200, 9800], "bandpass", fs=RATE, output="sos")
    length = round(0.1 * RATE)
    hisses = [(max(note[0] - 0.08, 0.0), 0.1, 0, 60) for note in notes[::2]]
    sibilants = _lay(hisses, lambda _: sosfilt(sos, rng.standard_normal(length)) * np.hanning(length))
    dry = voiced + 0.25 * sibilants / np.abs(sibilants).max()
    room = rng.standard_normal((2, round(0.3 * RATE))) * np.exp(-np.arange(round(0.3 * RATE)) / (0.06 * RATE))
    room /= np.sqrt((room**2).sum(axis=1, keepdims=True))
    return np.stack([dry, dry]) + 0.15 * np.stack([fftconvolve(dry, side)[:FRAMES] for side in room])


def _panned(mono: npt.NDArray[np.float64], position: float) -> Stereo:
    return np.stack([mono * np.sqrt(1 - position), mono * np.sqrt(position)]) * np.sqrt(2)


def numpy_song(seed: int) -> Item:
    rng = np.random.default_rng(seed)
    score = compose(seed)
    first, second = score.chords[::2], score.chords[1::2]
    other = _panned(_lay(first, lambda note: pluck(note, rng)), 0.3) + _panned(
        _lay(second, lambda note: pluck(note, rng)), 0.7
    )
    cymbals = [note for note in score.drums if note[2] in (42, 49)]
    skins = [note for note in score.drums if note[2] not in (42, 49)]
    drums = _panned(_lay(skins, lambda note: hit(note, rng)), 0.5) + 0.25 * _panned(
        _lay(cymbals, lambda note: hit(note, rng)), 0.6
    )
    bass = _panned(_lay(score.bass, saw), 0.5)
    stems = {"drums": drums, "bass": bass, "other": other, "vocals": _voice(score.tune, rng)}
    return _song(f"numpy-{seed}", "numpy", stems, LEVELS)


# --- fluidsynth ---


def fluid_song(seed: int) -> Item:
    score = compose(seed + 10)
    rng = np.random.default_rng(seed)
    programs = [(33, 0, 48), (38, 81, 90), (32, 25, 48), (34, 4, 52)][seed % 4]
    stems = {
        "drums": _played(score.drums, 0, drums=True),
        "bass": _played(score.bass, programs[0]),
        "other": _played(score.chords, programs[1]) + 0.6 * _played(score.chords, programs[2]),
        "vocals": _voice(score.tune, rng),
    }
    return _song(f"fluid-{seed}", "fluidsynth", stems, LEVELS)


def _played(notes: list[Note], program: int, drums: bool = False) -> Stereo:
    import mido

    ticks = 960  # per second: 480 per beat at 120 beats per minute
    channel = 9 if drums else 0
    events = [(round(at * ticks), "note_on", pitch, force) for at, _, pitch, force in notes]
    events += [(round((at + length) * ticks), "note_off", pitch, 0) for at, length, pitch, _ in notes]
    track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=program, time=0)])
    now = 0
    for at, kind, pitch, force in sorted(events):
        track.append(mido.Message(kind, channel=channel, note=pitch, velocity=force, time=at - now))
        now = at
    with tempfile.TemporaryDirectory(prefix="stemfix-material-") as folder:
        midi, wave = Path(folder) / "song.mid", Path(folder) / "song.wav"
        mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(midi)
        command = ["fluidsynth", "-niq", "-g", "0.6", "-r", str(RATE), "-O", "float", "-R", "1", "-C", "0"]
        subprocess.run([*command, "-F", wave, SOUNDFONT, midi], check=True, capture_output=True)
        return fitted(soundfile.read(wave, always_2d=True)[0].T)

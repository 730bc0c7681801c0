"""Singing: words spoken by flite, moved onto the notes of a melody by pitch-synchronous overlap-add (PSOLA).

flite speaks a line at one flat pitch and tells where each sound ends. Every vowel is then put on its note and
stretched to the note's length, consonants keep their own length and come just before the beat, as singers
place them. Needs the program `flite` with its voice `slt` (both free, by Carnegie Mellon University).
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
from scipy.signal import butter, resample_poly, sosfiltfilt

Mono = npt.NDArray[np.float64]

VOICE = "slt"
SPOKEN_RATE = 16000
VOWELS = frozenset(
    ["aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw"]
)
UNVOICED = frozenset(["p", "t", "k", "f", "th", "s", "sh", "ch", "hh", "pau"])

#: Grain spacing where there is no pitch.
UNVOICED_STEP_S = 0.004


@dataclass(frozen=True)
class Note:
    """One sung syllable: `start_s` and `length_s` in seconds, `pitch` as a MIDI note number."""

    start_s: float
    length_s: float
    pitch: float


@dataclass(frozen=True)
class Phone:
    """One speech sound and where it lies in the spoken line, in seconds."""

    name: str
    start_s: float
    end_s: float


def hertz(pitch: npt.ArrayLike) -> Mono:
    """Frequency of MIDI note numbers."""
    return np.asarray(440.0 * 2.0 ** ((np.asarray(pitch, float) - 69.0) / 12.0))


def speak(text: str, pitch_hz: float, sample_rate: int) -> tuple[Mono, list[Phone]]:
    """`text` spoken at a flat `pitch_hz`, at `sample_rate`, with its sounds."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "line.wav"
        command = ["flite", "-voice", VOICE, "-psdur", "-t", text, "-o", str(wav)]
        for feature in (f"int_f0_target_mean={pitch_hz:.2f}", "int_f0_target_stddev=0.5"):
            command += ["--setf", feature]
        marks = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        spoken, rate = sf.read(wav, dtype="float64")
    if rate != SPOKEN_RATE:
        raise SystemExit(f"flite spoke at {rate} Hz; its voice {VOICE} should speak at {SPOKEN_RATE} Hz")
    phones, at = [], 0.0
    for mark in marks:
        name, end = mark.split(":")
        phones.append(Phone(name, at, float(end)))
        at = float(end)
    return _brighten(spoken, sample_rate), phones


def _brighten(spoken: Mono, sample_rate: int) -> Mono:
    """Resample, and fill the empty octave above 8 kHz with a quiet mirror image of the one below."""
    image = np.zeros(2 * spoken.size)
    image[::2] = 2.0 * spoken
    band = butter(4, [7600, 11500], "bandpass", fs=2 * SPOKEN_RATE, output="sos")
    doubled = resample_poly(spoken, 2, 1) + 0.3 * sosfiltfilt(band, image)
    divisor = int(np.gcd(sample_rate, 2 * SPOKEN_RATE))
    return np.asarray(resample_poly(doubled, sample_rate // divisor, 2 * SPOKEN_RATE // divisor))


def sing(text: str, notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Mono:
    """`text` sung on `notes`, one per vowel, as `frames` samples at `sample_rate`."""
    flat_hz = float(np.median(hertz([note.pitch for note in notes])))
    spoken, phones = speak(text, flat_hz, sample_rate)
    phones = [phone for phone in phones if phone.name != "pau"]
    spoken_at, sung_at = _time_map(text, phones, notes)
    marks = _pitch_marks(spoken, phones, flat_hz, sample_rate)
    pitch_hz = _pitch_curve(notes, frames, sample_rate, rng)

    out = np.zeros(frames)
    at = sung_at[0]
    while at < sung_at[-1]:
        source_s = float(np.interp(at, sung_at, spoken_at))
        phone = next((p for p in phones if p.end_s > source_s), phones[-1])
        hz = pitch_hz[min(int(at * sample_rate), frames - 1)]
        voiced = phone.name not in UNVOICED
        step_s = 1.0 / hz if voiced else UNVOICED_STEP_S
        half = int((1.0 / flat_hz if voiced else UNVOICED_STEP_S) * sample_rate)
        centre = (
            marks[np.argmin(np.abs(marks - source_s * sample_rate))]
            if voiced
            else int(source_s * sample_rate)
        )
        target = round(at * sample_rate)
        if half <= centre < spoken.size - half and half <= target < frames - half:
            # The power of overlapping grains grows with their density.
            gain = np.sqrt(step_s * sample_rate / half)
            grain = spoken[centre - half : centre + half] * np.hanning(2 * half)
            out[target - half : target + half] += gain * grain
        at += step_s
    return out


def _time_map(text: str, phones: Sequence[Phone], notes: Sequence[Note]) -> tuple[Mono, Mono]:
    """Matching points in spoken and in sung time, both rising."""
    vowels = [index for index, phone in enumerate(phones) if phone.name in VOWELS]
    if len(vowels) != len(notes):
        raise SystemExit(
            f"'{text}' has {len(vowels)} vowels but {len(notes)} notes: {[p.name for p in phones]}"
        )
    first = phones[vowels[0]]
    spoken_at = [phones[0].start_s]
    sung_at = [notes[0].start_s - (first.start_s - phones[0].start_s)]
    for number, (index, note) in enumerate(zip(vowels, notes, strict=True)):
        vowel = phones[index]
        last = number + 1 == len(notes)
        until = note.start_s + note.length_s if last else notes[number + 1].start_s
        consonants_s = (phones[-1].end_s if last else phones[vowels[number + 1]].start_s) - vowel.end_s
        room_s = until - note.start_s
        end_s = until if last else until - min(consonants_s, 0.55 * room_s)
        # A held diphthong stays on its first half and glides at the very end.
        hold_s = note.start_s + 0.75 * (end_s - note.start_s)
        spoken_at += [vowel.start_s, vowel.start_s + 0.5 * (vowel.end_s - vowel.start_s), vowel.end_s]
        sung_at += [note.start_s, hold_s, end_s]
    spoken_at.append(phones[-1].end_s)
    sung_at.append(sung_at[-1] + max(phones[-1].end_s - phones[vowels[-1]].end_s, 1e-3))
    return np.array(spoken_at), np.array(sung_at)


def _pitch_marks(
    spoken: Mono, phones: Sequence[Phone], pitch_hz: float, sample_rate: int
) -> npt.NDArray[np.int64]:
    """The strongest instant of each period of the voiced sounds, in samples."""
    period = sample_rate / pitch_hz
    low = sosfiltfilt(butter(2, 900, fs=sample_rate, output="sos"), spoken)
    reach = int(0.2 * period)
    marks: list[int] = []
    for phone in phones:
        if phone.name in UNVOICED:
            continue
        at = marks[-1] + period if marks and phone.start_s * sample_rate - marks[-1] < 2 * period else None
        start = int(phone.start_s * sample_rate)
        at = start + float(np.argmax(low[start : start + int(period)])) if at is None else at
        while at < phone.end_s * sample_rate:
            left = max(int(at) - reach, 0)
            marks.append(left + int(np.argmax(low[left : left + 2 * reach + 1])))
            at = marks[-1] + period
    return np.array(marks)


def _pitch_curve(notes: Sequence[Note], frames: int, sample_rate: int, rng: np.random.Generator) -> Mono:
    """Pitch in Hz for every frame: glides between notes, a scoop into the phrase, vibrato on held notes."""
    time = np.arange(frames) / sample_rate
    pitch = np.full(frames, float(notes[0].pitch))
    for previous, note in itertools.pairwise(notes):
        glide = np.clip((time - note.start_s + 0.045) / 0.08, 0.0, 1.0)
        pitch += (note.pitch - previous.pitch) * glide * glide * (3.0 - 2.0 * glide)
    pitch -= 0.8 * np.clip(1.0 - (time - notes[0].start_s) / 0.11, 0.0, 1.0)
    for note in notes:
        if note.length_s > 0.5:
            inside = time - note.start_s
            depth = 0.28 * np.clip((inside - 0.3) / 0.4, 0.0, 1.0) * (inside < note.length_s + 0.1)
            pitch += depth * np.sin(2.0 * np.pi * 5.4 * inside)
    wander = np.interp(
        time,
        np.arange(0.0, time[-1] + 0.2, 0.1),
        rng.normal(0.0, 0.07, int(time[-1] / 0.1) + 3)[: len(np.arange(0.0, time[-1] + 0.2, 0.1))],
    )
    return hertz(pitch + wander)

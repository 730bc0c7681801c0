"""Damage of known kind and degree, and for each the number that says how much of it is left.

A damage takes clean audio, shape (2, frames) at 44.1 kHz, and a random generator; it returns the damaged
audio and what only it knows (places, a mask). `own` then grades a repair by it. Higher is better where a unit
is "dB SDR", lower elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from material import FRAMES, RATE, Stereo

Info = dict[str, Any]
Rng = np.random.Generator


@dataclass(frozen=True)
class Damage:
    make: Callable[[Stereo, Rng], tuple[Stereo, Info]]
    #: Grades `repaired` by (clean, repaired, damaged, info).
    own: Callable[[Stereo, Stereo, Stereo, Info], float]
    unit: str
    #: The chain of effects that is meant to repair it, with settings.
    chain: tuple[tuple[str, dict[str, Any]], ...]
    #: Which part of an item is damaged: the mix or a stem.
    part: str = "mix"


def rms(audio: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(audio**2)))


def sdr(clean: npt.NDArray[np.float64], repaired: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.sum(clean**2) / max(np.sum((clean - repaired) ** 2), 1e-20)))


def whole_sdr(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    return sdr(clean, repaired)


def band(audio: Stereo, low: float, high: float) -> Stereo:
    from scipy.signal import butter, sosfiltfilt

    kind = "highpass" if high >= RATE / 2 else "lowpass" if low <= 0 else "bandpass"
    edges = {"highpass": low, "lowpass": high, "bandpass": [low, high]}[kind]
    return np.asarray(sosfiltfilt(butter(3, edges, kind, fs=RATE, output="sos"), audio))


def band_sdr(low: float, high: float) -> Callable[[Stereo, Stereo, Stereo, Info], float]:
    return lambda clean, repaired, damaged, info: sdr(band(clean, low, high), band(repaired, low, high))


def spectrogram(audio: Stereo) -> npt.NDArray[np.complex128]:
    """2048 / 512, shape (2, frames, bins)."""
    window = np.sin(np.pi * np.arange(2048) / 2048)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(audio, ((0, 0), (2048, 2048))), 2048, axis=1)[
        :, ::512
    ]
    return np.fft.rfft(frames * window, axis=-1)


def from_spectrogram(spectrum: npt.NDArray[np.complex128]) -> Stereo:
    window = np.sin(np.pi * np.arange(2048) / 2048)
    pieces = np.fft.irfft(spectrum, axis=-1) * window / 2
    out = np.zeros((2, FRAMES + 2 * 2048 + 512))
    for index in range(pieces.shape[1]):
        out[:, index * 512 : index * 512 + 2048] += pieces[:, index]
    return out[:, 2048 : 2048 + FRAMES]


# --- additive ---


def hiss(snr_db: float, low_hz: float = 0.0) -> Callable[[Stereo, Rng], tuple[Stereo, Info]]:
    def make(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
        noise = rng.standard_normal(audio.shape)
        noise = band(noise, low_hz, RATE) if low_hz else noise
        return audio + noise * rms(audio) / rms(noise) * 10 ** (-snr_db / 20), {}

    return make


def hum(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    time = np.arange(FRAMES) / RATE
    phases = rng.uniform(0, 2 * np.pi, 12)
    tone = sum(np.sin(2 * np.pi * 50 * k * time + phases[k - 1]) / k for k in range(1, 13))
    return audio + np.stack([tone, 0.9 * tone]) * rms(audio) / rms(tone) * 10 ** (-26 / 20), {}


def rumble(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    noise = band(rng.standard_normal(audio.shape), 0, 18)
    return audio + noise / rms(noise) * rms(audio) * 10 ** (-15 / 20) + 0.01, {}


def clicks(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    out, hit = audio.copy(), np.zeros(FRAMES, bool)
    for place in rng.integers(2000, FRAMES - 2000, 60):
        length = int(rng.integers(1, 13))
        shape = (rng.standard_normal(length) * 0.4 + 1) * np.exp(-np.arange(length) / 4)
        both = shape * rng.uniform(0.08, 0.6) * rng.choice([-1, 1])
        out[:, place : place + length] += both * np.array([[1.0], [rng.uniform(0.3, 1.0)]])
        hit[place - 4 : place + length + 8] = True
    return out, {"where": hit}


def resonance(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    """Four narrow peaks of 12 dB that stand still: what a metallic room or model does."""
    from scipy.signal import lfilter

    out = audio
    for frequency in np.exp(rng.uniform(np.log(2500), np.log(9000), 4)):
        angle, amplitude = 2 * np.pi * frequency / RATE, 10 ** (12 / 40)
        alpha = np.sin(angle) / (2 * 40)
        top = np.array([1 + alpha * amplitude, -2 * np.cos(angle), 1 - alpha * amplitude])
        bottom = np.array([1 + alpha / amplitude, -2 * np.cos(angle), 1 - alpha / amplitude])
        out = lfilter(top / bottom[0], bottom / bottom[0], out)
    return np.asarray(out), {}


# --- of generators and codecs ---


def comb(period: int) -> Callable[[Stereo, Rng], tuple[Stereo, Info]]:
    """Gains that differ by 3 % and biases, repeating every `period` samples, half of it with the level."""

    def make(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
        from scipy.ndimage import uniform_filter1d

        n = np.arange(FRAMES)
        gains = 1 + 0.03 * rng.standard_normal(period)
        envelope = np.sqrt(uniform_filter1d(audio**2, 4410, axis=1))
        bias = np.zeros(FRAMES)
        for k in range(1, (period + 1) // 2):
            level = 10 ** ((-46 if k % 2 == 0 else -52) / 20) * np.sqrt(2 * 7 / period)
            bias += level * np.cos(2 * np.pi * k * n / period + rng.uniform(0, 2 * np.pi))
        return audio * gains[n % period] + bias * (0.5 * rms(audio) + 0.5 * envelope), {"period": period}

    return make


def comb_level(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    """Strongest line of the error at k * rate / period, in dBFS."""
    error = (repaired - clean)[:, FRAMES // 4 : FRAMES // 4 + 3 * 65536]
    lines = [
        np.exp(-2j * np.pi * k / info["period"] * np.arange(error.shape[1]))
        for k in range(1, info["period"] // 2)
    ]
    window = np.hanning(error.shape[1])
    levels = [np.abs((error * window) @ line).max() / (window.sum() / 2) for line in lines]
    return float(20 * np.log10(max(levels) + 1e-12))


def shimmer(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    """Levels of single bins from 4 to 12 kHz that flicker frame by frame, more the quieter: 5 dB RMS."""
    spectrum = spectrogram(audio)
    frequencies = np.fft.rfftfreq(2048, 1 / RATE)
    inside = (frequencies > 4000) & (frequencies < 12000)
    flicker = rng.standard_normal(spectrum.shape[1:])
    flicker = np.where(rng.random(flicker.shape) < 0.25, 8 * np.abs(flicker), 2 * flicker)
    return from_spectrogram(spectrum * np.where(inside, 10 ** (flicker / 20), 1.0)), {}


def shimmer_error(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    """Flicker of the steadiest partials over that of the clean recording, in dB."""
    from engine.audio.buffer import AudioBuffer
    from engine.metrics.shimmer_index import shimmer_index

    found = [shimmer_index(AudioBuffer.of(audio, RATE)).flicker_db for audio in (clean, repaired)]
    return float("nan") if None in found else found[1] - found[0]


def holes(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    from scipy.ndimage import gaussian_filter

    spectrum = spectrogram(audio)
    mask = np.ones(spectrum.shape[1:])
    for _ in range(70):
        low = int(np.exp(rng.uniform(np.log(500), np.log(12000))) * 2048 / RATE)
        start = int(rng.integers(12, mask.shape[0] - 24))
        mask[start : start + int(rng.integers(3, 10)), low : low + int(rng.uniform(0.25, 0.6) * low) + 8] = (
            0.01
        )
    return from_spectrogram(spectrum * gaussian_filter(mask, 0.7)), {"mask": mask < 0.5}


def hole_error(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    """Mean error of level in the holes, where the clean recording is loud, in dB."""
    before, after = (np.abs(spectrogram(audio)) for audio in (clean, repaired))
    loud = info["mask"] & (before > np.sqrt(np.mean(before**2)) * 10 ** (-45 / 20))
    return float(np.abs(20 * np.log10((after[loud] + 1e-4) / (before[loud] + 1e-4))).mean())


def low_pass(cutoff_hz: float) -> Callable[[Stereo, Rng], tuple[Stereo, Info]]:
    def make(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
        from scipy.signal import firwin, oaconvolve

        taps = firwin(511, cutoff_hz, fs=RATE, window=("kaiser", 12))
        return np.asarray(oaconvolve(audio, taps[None], "same", axes=1)), {"cutoff_hz": cutoff_hz}

    return make


def band_distance(low_hz: float) -> Callable[[Stereo, Stereo, Stereo, Info], float]:
    """Log-spectral distance from `low_hz` (or from the cutoff) to 20 kHz."""

    def grade(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
        from engine.audio.buffer import AudioBuffer
        from engine.metrics.log_spectral_distance import log_spectral_distance

        edges = [(info.get("cutoff_hz", low_hz), 20000.0)]
        truth, found = AudioBuffer.of(clean, RATE), AudioBuffer.of(repaired, RATE)
        return log_spectral_distance(truth, found, edges).bands[0].distance_db

    return grade


# --- non-linear ---


def clip(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    limit = float(np.quantile(np.abs(audio), 0.985))
    return np.clip(audio, -limit, limit), {"where": np.abs(audio) > limit}


def place_sdr(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    where = np.broadcast_to(info["where"], clean.shape)
    return sdr(clean[where], repaired[where])


def eight_bit(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    return np.round(audio * 127) / 127, {}


def pre_echo(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    """A transform codec's quantisation noise, 10 dB under each band, spread over windows of 4096."""
    from scipy.fft import dct, idct

    out = np.zeros((2, FRAMES + 3 * 2048))
    hop, window = 2048, np.sin(np.pi * (np.arange(4096) + 0.5) / 4096)
    padded = np.pad(audio, ((0, 0), (hop, 2 * hop)))
    edges = np.unique(np.r_[0, np.logspace(np.log10(8), np.log10(4096), 26).astype(int)])
    for start in range(0, FRAMES + hop, hop):
        lines = dct(padded[:, start : start + 2 * hop] * window, norm="ortho")
        for low, high in pairwise(edges):
            step = np.sqrt(np.mean(lines[:, low:high] ** 2, axis=1, keepdims=True)) * 0.9 + 1e-9
            lines[:, low:high] += step * rng.uniform(-0.5, 0.5, lines[:, low:high].shape)
        out[:, start : start + 2 * hop] += idct(lines, norm="ortho") * window
    return out[:, hop : hop + FRAMES], {}


def before_onsets(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    """SDR above 1.5 kHz in the 30 ms before onsets."""
    high = band(clean, 1500, RATE)
    level = 10 * np.log10(np.mean(high.sum(0)[: FRAMES // 64 * 64].reshape(-1, 64) ** 2, axis=1) + 1e-9)
    floor = np.array([level[max(0, i - 20) : max(i, 1)].mean() for i in range(len(level))])
    onsets = [i * 64 for i in np.flatnonzero(level - floor > 12)]
    where = np.zeros(FRAMES, bool)
    for onset in onsets:
        where[max(0, onset - round(0.03 * RATE)) : max(0, onset - round(0.001 * RATE))] = True
    for onset in onsets:
        where[max(0, onset - round(0.001 * RATE)) : onset + 512] = False
    return sdr(high[:, where], band(repaired, 1500, RATE)[:, where])


def incoherent(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    """The right channel 0.35 ms late: what a misplaced microphone or a wrong latency does."""
    frequencies = np.fft.rfftfreq(FRAMES, 1 / RATE)
    late = np.fft.irfft(np.fft.rfft(audio[1]) * np.exp(-2j * np.pi * frequencies * 0.00035), FRAMES)
    return np.stack([audio[0], late]), {}


def mono_sdr(clean: Stereo, repaired: Stereo, damaged: Stereo, info: Info) -> float:
    return sdr(clean.sum(0), repaired.sum(0))


def generator(audio: Stereo, rng: Rng) -> tuple[Stereo, Info]:
    """Several at once: low-pass at 15.5 kHz, comb of period 16, hiss at 45 dB, 0.3 % clipped."""
    out, info = comb(16)(low_pass(15500)(audio, rng)[0], rng)
    out = hiss(45)(out, rng)[0]
    limit = float(np.quantile(np.abs(out), 0.997))
    return np.clip(out, -limit, limit), {**info, "cutoff_hz": 15500.0}


DAMAGES: dict[str, Damage] = {
    "clipping 1.5 %": Damage(clip, place_sdr, "dB SDR, clipped samples", (("declip", {}),)),
    "clicks, 60": Damage(clicks, place_sdr, "dB SDR at the clicks", (("declick", {}),)),
    "comb, period 16": Damage(comb(16), comb_level, "dBFS, worst line", (("decomb", {}),)),
    "comb, period 20": Damage(comb(20), comb_level, "dBFS, worst line", (("decomb", {}),)),
    "hum, 50 Hz": Damage(hum, band_sdr(30, 620), "dB SDR, 30 to 620 Hz", (("dehum", {}),)),
    "rumble and DC": Damage(rumble, band_sdr(0, 40), "dB SDR under 40 Hz", (("derumble", {}),)),
    "white hiss, 35 dB": Damage(hiss(35), band_distance(5000), "dB LSD, 5 to 20 kHz", (("dehiss", {}),)),
    "high hiss, 35 dB": Damage(hiss(35, 5000), band_distance(5000), "dB LSD, 5 to 20 kHz", (("dehiss", {}),)),
    "8 bit": Damage(eight_bit, band_distance(5000), "dB LSD, 5 to 20 kHz", (("dehiss", {}),)),
    "hiss on vocals, 40 dB": Damage(hiss(40), whole_sdr, "dB SDR", (("dehiss", {}),), "vocals"),
    "hiss on vocals, 30 dB": Damage(hiss(30), whole_sdr, "dB SDR", (("dehiss", {}),), "vocals"),
    "hiss on vocals, 20 dB": Damage(hiss(20), whole_sdr, "dB SDR", (("dehiss", {}),), "vocals"),
    "resonances": Damage(resonance, band_sdr(2000, 10000), "dB SDR, 2 to 10 kHz", (("deresonate", {}),)),
    "shimmer": Damage(shimmer, shimmer_error, "dB of flicker too much", (("deshimmer", {}),)),
    "spectral holes": Damage(holes, hole_error, "dB error in the holes", (("fill_holes", {}),)),
    "pre-echo, drum stem": Damage(
        pre_echo, before_onsets, "dB SDR before onsets", (("pre_echo", {}),), "drums"
    ),
    "one channel late": Damage(incoherent, mono_sdr, "dB SDR of the mono sum", (("phase_repair", {}),)),
    "low-pass 8 kHz": Damage(
        low_pass(8000), band_distance(8000), "dB LSD, missing band", (("bandwidth", {}),)
    ),
    "low-pass 12 kHz": Damage(
        low_pass(12000), band_distance(12000), "dB LSD, missing band", (("bandwidth", {}),)
    ),
    "low-pass 16 kHz": Damage(
        low_pass(16000), band_distance(16000), "dB LSD, missing band", (("bandwidth", {}),)
    ),
    "generator, all at once": Damage(
        generator,
        band_distance(15500),
        "dB LSD, missing band",
        (("declip", {}), ("decomb", {}), ("declick", {}), ("dehiss", {}), ("bandwidth", {})),
    ),
}

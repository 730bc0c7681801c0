"""Undamaged recordings of known kinds, and what the tests of repairs measure with."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from engine.audio.buffer import Audio

RATE = 44_100
SECONDS = 8
EXAMPLES = Path(__file__).parents[2] / "examples"


def _time() -> np.ndarray:
    return np.arange(RATE * SECONDS) / RATE


def _stereo(left: np.ndarray, right: np.ndarray, rms: float = 0.1) -> Audio:
    both = np.stack([left, right])
    result: Audio = (both * (rms / np.sqrt(np.mean(both**2)))).astype(np.float32)
    return result


def fast_hats() -> Audio:
    """A kick on the beat, and a hi-hat in sixteenths whose decay never reaches silence."""
    rng, t = np.random.default_rng(1), _time()
    step = t % 0.107
    hat = np.exp(-step / 0.035) * (0.7 + 0.3 * np.sin(2 * np.pi * t / 0.428))
    noise = np.diff(rng.standard_normal((2, t.size + 1)), axis=1)
    beat = t % 0.5
    kick = np.exp(-beat / 0.08) * np.sin(2 * np.pi * 50 * beat + 6 * (1 - np.exp(-beat / 0.02)))
    return _stereo(kick + 0.1 * hat * noise[0], kick + 0.1 * hat * noise[1])


def held_chords() -> Audio:
    """Held notes with many partials, a slow attack and a little vibrato: nothing but steady tones."""
    t = _time()
    left, right = np.zeros(t.size), np.zeros(t.size)
    for bar, root in enumerate((110.0, 146.8, 98.0, 130.8)):
        inside = (t >= 2 * bar) & (t < 2 * bar + 2)
        at = t[inside] - 2 * bar
        shape = np.minimum(at / 0.1, 1) * np.minimum((2 - at) / 0.1, 1)
        for ratio in (1.0, 1.26, 1.5, 2.0):
            # Powers of one phasor: partials k by repeated multiplication.
            phase = 2 * np.pi * root * ratio * at + 0.002 * np.sin(32 * at)
            one = np.exp(1j * phase).astype(np.complex64)
            wave = one * shape.astype(np.float32)
            for partial in range(1, min(40, int(18_000 / (root * ratio)))):
                left[inside] += wave.imag / partial**1.2
                right[inside] += wave.imag / partial**1.2 * (0.8 + 0.2 * np.cos(partial))
                wave = wave * one
    return _stereo(left, right)


def plucks() -> Audio:
    """Short notes that come out of silence and fade."""
    t = _time()
    beat = t % 0.4
    note = np.floor(t / 0.4)
    pitch = 220 * 2 ** (np.array([0, 3, 7, 10, 12, 7, 3, 5])[(note % 8).astype(int)] / 12)
    wave = sum(
        np.sin(2 * np.pi * k * pitch * beat + k) / k * np.exp(-beat * (4 + k)) * (k * pitch < 19_000)
        for k in (*range(1, 12), 14, 17, 20, 24, 28, 33, 39)
    )
    attack = 1 - np.exp(-beat / 0.001)
    return _stereo(wave * attack, 0.9 * wave * attack)


def dark_drone() -> Audio:
    """A bass that has nothing above 1 kHz, by nature and not by a filter."""
    t = _time()
    wave = sum(np.sin(2 * np.pi * 55 * k * t + k) * 10 ** (-k * 4 / 20) for k in range(1, 30))
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 0.4 * t)
    return _stereo(wave * swell, wave * swell)


@lru_cache
def _example(name: str) -> Audio:
    import soundfile

    audio, rate = soundfile.read(EXAMPLES / name, dtype="float32", always_2d=True, stop=RATE * 12)
    assert rate == RATE
    result: Audio = np.ascontiguousarray(audio[RATE * 2 :].T)
    result.flags.writeable = False
    return result


_ITEMS: dict[str, Callable[[], Audio]] = {
    "fast hats": fast_hats,
    "held chords": held_chords,
    "plucks": plucks,
    "dark drone": dark_drone,
    "demo": lambda: _example("demo.flac"),
    **{
        f"demo {stem}": lambda s=stem: _example(f"stems/{s}.flac")
        for stem in ("drums", "bass", "other", "vocals")
    },
}


@lru_cache
def _item(name: str) -> Audio:
    audio = _ITEMS[name]()
    audio.flags.writeable = False
    return audio


@pytest.fixture(params=list(_ITEMS))
def clean(request: pytest.FixtureRequest) -> Audio:
    """One undamaged recording after the other, stereo, 44.1 kHz, 8 to 10 s."""
    return _item(request.param)


@pytest.fixture
def item() -> Callable[[str], Audio]:
    """`item("demo")`: an undamaged recording by its name."""
    return _item


@pytest.fixture
def si_sdr_db() -> Callable[[Audio, Audio], float]:
    """`si_sdr_db(result, truth)`: level of the truth over everything else, in dB."""

    def measure(result: Audio, truth: Audio) -> float:
        x, y = truth.astype(np.float64).ravel(), result.astype(np.float64).ravel()
        scaled = x * ((x @ y) / (x @ x))
        rest = y - scaled
        return float(10 * np.log10((scaled @ scaled) / max(rest @ rest, 1e-30)))

    return measure

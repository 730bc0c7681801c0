"""What every registered effect promises: length, place, determinism, bypass, silence, and odd inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.audio.buffer import Audio, AudioBuffer
from engine.processors import processor as processor_module
from engine.processors.processor import Processor
from engine.processors.registry import EFFECTS, effects

RATE = 44_100

#: Settings beside the defaults.
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "denoise": [{"floor_db": -30.0}, {"amount": 0.5}],
    "speech_denoise": [{"reduction": 0.5, "threshold_std": 2.0}],
    "gate": [{"threshold_db": -10.0, "range_db": 30.0}, {"hold_ms": 10.0, "release_ms": 20.0}],
    "compressor": [{"ratio": 8.0, "threshold_db": -15.0, "attack_ms": 1.0}, {"amount": 0.4}],
    "expander": [{"direction": "up", "threshold_db": -3.0, "ratio": 2.0}, {"ratio": 4.0, "range_db": 20.0}],
    "multiband": [{"crossovers_hz": [400.0], "threshold_db": -10.0, "ratio": 6.0}, {"amount": 0.4}],
    "glue": [{"reduction_db": 4.0, "ratio": 4.0, "attack_ms": 5.0}],
    "ride": [{"strength": 1.0, "range_db": 9.0, "window_ms": 200.0}],
    "consistency": [{"strength": 1.0, "range_db": 9.0}],
    "transient": [{"attack_db": 6.0, "sustain_db": -6.0}, {"attack_db": -3.0}],
    "deess": [{"threshold_db": -20.0, "range_db": 15.0}, {"low_hz": 3000.0, "high_hz": 16_000.0}],
    "saturation": [{"drive_db": 12.0}, {"below_hz": 300.0}, {"above_hz": 3000.0, "drive_db": 0.0}],
    "exciter": [{"crossover_hz": 2500.0, "target_db": 0.0, "even": 1.0}, {"even": 0.0}],
    "sub": [{"target_db": 24.0, "strength": 1.0, "range_db": 9.0}],
    "equaliser": [
        {"bands": [{"kind": "bell", "frequency_hz": 2500, "gain_db": 6, "q": 2}]},
        {"bands": [{"kind": "high_pass", "frequency_hz": 60, "slope": 24}]},
        {"bands": [{"kind": "low_shelf", "frequency_hz": 150, "gain_db": -6}], "phase": "minimum"},
        {
            "bands": [
                {"kind": "high_pass", "frequency_hz": 30, "slope": 12},
                {"kind": "bell", "frequency_hz": 2500, "gain_db": 3},
            ],
            "phase": "mixed",
        },
        {
            "bands": [
                {"kind": "high_shelf", "frequency_hz": 6000, "gain_db": -4},
                {"kind": "low_pass", "frequency_hz": 15_000, "slope": 12},
            ]
        },
    ],
    "balance": [{"tolerance_db": 0.0, "strength": 1.0, "range_db": 6.0}],
    "width": [{"gain_db": 6.0, "crossover_hz": 100.0}, {"gain_db": -12.0}],
    "limiter": [{"ceiling_db": -20.0}, {"ceiling_db": -12.0, "lookahead_ms": 5.0}],
    "declip": [],
    "declick": [{"amount": 0.5}],
    "decomb": [],
    "pre_echo": [{"floor_db": -12.0}],
    "dehum": [{"amount": 0.5}],
    "derumble": [{"amount": 0.5}],
    "phase_repair": [{"amount": 0.5}],
    "dehiss": [{"floor_db": -30.0}],
    "deresonate": [{"prominence_db": 10.0}],
    "deshimmer": [{"floor_db": -6.0}],
    "fill_holes": [{"amount": 0.5}],
    "bandwidth": [{"gain_db": -6.0, "top_hz": 16_000.0}],
}

#: What makes an effect fire that the common music leaves alone: (music, rate) -> damaged music of any length.
MATERIAL: dict[str, Callable[[Audio, int], Audio]] = {
    name: lambda audio, rate: audio * np.array([1.0, 0.4, 0.7, 0.25], np.float32)[_beat(audio, rate) % 4]
    for name in ("ride", "consistency")
}


def _beat(audio: Audio, rate: int) -> npt.NDArray[np.intp]:
    """Which beat of `music` each frame belongs to."""
    return np.arange(audio.shape[1]) // int(0.65 * rate)


def _clipped(audio: Audio, rate: int) -> Audio:
    half = audio.shape[1] // 2
    level = 0.3 * audio.max()
    return np.concatenate([np.clip(audio[:, :half], -level, level), 0.25 * audio[:, half:]], axis=1)


def _clicked(audio: Audio, rate: int) -> Audio:
    damaged = audio.copy()
    damaged[:, 1000 :: rate // 7] += 0.7 * audio.max()
    return damaged


def _combed(audio: Audio, rate: int) -> Audio:
    phase = np.arange(audio.shape[1]) % 16
    gain, offset = np.random.default_rng(1).standard_normal((2, 16)) * [[0.03], [0.003]]
    return audio * (1 + gain)[phase] + audio.std() * offset[phase]


def _humming(audio: Audio, rate: int) -> Audio:
    longer = np.concatenate([audio] * 4, axis=1)
    t = np.arange(longer.shape[1]) / rate
    return longer + 0.02 * audio.std() * sum(np.sin(2 * np.pi * 50 * k * t + k) for k in range(1, 6))


def _rumbling(audio: Audio, rate: int) -> Audio:
    t = np.arange(audio.shape[1]) / rate
    return audio + audio.std() * (0.1 + 0.2 * np.sin(2 * np.pi * (6 * t + np.sin(2 * np.pi * 1.7 * t))))


def _echoing(audio: Audio, rate: int) -> Audio:
    """Hits of noise a third of a second apart, and 20 ms of softer noise before each."""
    rng = np.random.default_rng(6)
    beat = np.arange(audio.shape[1]) / rate % 0.33
    loud = np.exp(-beat / 0.03) + 0.03 * (beat > 0.31) + 1e-4
    hits: Audio = (audio.std() * loud * rng.standard_normal(audio.shape)).astype(np.float32)
    return hits


def _out_of_step(audio: Audio, rate: int) -> Audio:
    longer = np.concatenate([audio] * 3, axis=1)
    if len(longer) == 2:
        longer[1] = np.roll(longer[0], 5)
    return longer


MATERIAL.update(
    declip=_clipped,
    declick=_clicked,
    decomb=_combed,
    dehum=_humming,
    derumble=_rumbling,
    phase_repair=_out_of_step,
    pre_echo=_echoing,
)


def _shimmering(audio: Audio, rate: int) -> Audio:
    """`audio` over steady noise, with short tones at random places of the treble."""
    rng = np.random.default_rng(5)
    count = rate // 20
    noisy = audio + rng.standard_normal(audio.shape).astype(np.float32) * np.float32(0.05)
    window = np.hanning(count)
    for _ in range(150 * audio.shape[1] // rate):
        start = int(rng.integers(0, audio.shape[1] - count))
        hz = rng.uniform(0.12, 0.25) * rate
        burst = 0.05 * window * np.sin(2 * np.pi * hz * np.arange(count) / rate + hz)
        noisy[:, start : start + count] += burst.astype(np.float32)
    return noisy


def _low_passed(audio: Audio, rate: int) -> Audio:
    """`audio` without what is above two fifths of its spectrum."""
    from scipy.signal import firwin, oaconvolve

    result: Audio = oaconvolve(audio, firwin(511, 0.4, window=("kaiser", 12))[None], mode="same", axes=1)
    return result.astype(np.float32)


def _ringing(audio: Audio, rate: int) -> Audio:
    """`audio`, played again and again for long enough to tell, with three tones that stand still."""
    audio = np.tile(audio, 4)
    t = np.arange(audio.shape[1]) / rate
    tones = sum(np.sin(2 * np.pi * share * rate * t) for share in (0.1613, 0.2371, 0.3127))
    return np.asarray(audio + np.float32(0.01) * tones, np.float32)


def _full_of_holes(audio: Audio, rate: int) -> Audio:
    """`audio` over steady noise, with band-stops of 80 ms four times a second."""
    from scipy.signal import butter, sosfiltfilt

    rng = np.random.default_rng(6)
    noisy = audio + rng.standard_normal(audio.shape).astype(np.float32) * np.float32(0.1)
    band = sosfiltfilt(butter(8, (0.2, 0.35), "bandpass", output="sos"), noisy)
    t = np.arange(audio.shape[1]) / rate % 0.25
    gap = np.clip((0.05 - np.abs(t - 0.12)) / 0.005, 0, 1)
    return np.asarray(noisy - gap * band, np.float32)


MATERIAL["deshimmer"] = _shimmering
MATERIAL["fill_holes"] = _full_of_holes
MATERIAL["deresonate"] = _ringing
MATERIAL["bandwidth"] = _low_passed

CASES = [
    pytest.param(name, chosen, id=f"{name}-{number}")
    for name in EFFECTS
    for number, chosen in enumerate([{}, *VARIANTS.get(name, [])])
]
every_effect = pytest.mark.parametrize(("name", "chosen"), CASES)


def make(name: str, chosen: dict[str, Any]) -> Processor:
    return effects()[name](**chosen)


@lru_cache
def music(rate: int = RATE, seconds: float = 2.6, channels: int = 2, level: float = 0.2) -> Audio:
    """Plucked chords with sibilants, slightly wide, with pauses, hiss 40 dB below: work for every effect."""
    generator = np.random.default_rng(7)
    frames = int(rate * seconds)
    t = np.arange(frames) / rate
    beat = t % 0.65
    pluck = np.exp(-8 * beat) * (1 - np.exp(-beat / 0.002)) * np.clip((0.3 - beat) / 0.05, 0, 1)
    burst = np.exp(-(((beat - 0.2) / 0.02) ** 2))
    low, high = 0.25 * min(rate, 32_000), 0.4 * min(rate, 32_000)
    sibilants = burst * sum(np.sin(2 * np.pi * f * t + f) for f in np.linspace(low, high, 30)) * 0.2
    mid = pluck * sum(np.sin(2 * np.pi * f * t) for f in (110.0, 331.0, 660.0, 1750.0)) + sibilants
    side = 0.3 * pluck * np.sin(2 * np.pi * 523.0 * t + 1)
    both = [mid + side, mid - side, mid][:channels] if channels > 1 else [mid]
    audio = np.stack(both) * (level / np.sqrt(np.mean(mid**2)))
    result = (audio + generator.standard_normal(audio.shape) * level * 0.01).astype(np.float32)
    result.flags.writeable = False
    return result


@lru_cache
def material(name: str, rate: int = RATE, seconds: float = 2.6, channels: int = 2) -> Audio:
    """The common music, damaged for the effect `name` if it is a repair."""
    audio = music(rate, seconds, channels)
    if name not in MATERIAL:
        return audio
    result = MATERIAL[name](audio, rate).astype(np.float32)
    result.flags.writeable = False
    return result


def db(error: Audio, reference: Audio) -> float:
    """Level of `error` against `reference`."""
    power = float(np.mean(np.square(error, dtype=np.float64)))
    return 10 * float(np.log10(power / float(np.mean(np.square(reference, dtype=np.float64))) + 1e-30))


def small_delay(before: Audio, after: Audio) -> float:
    """Delay in samples to first order: the slope of the cross-spectrum's phase, all frequencies together."""
    size = 2 * before.shape[1]
    cross = (np.conj(np.fft.rfft(before, size)) * np.fft.rfft(after, size)).sum(axis=0)
    omega = 2 * np.pi * np.arange(cross.size) / size
    return float(-(omega * cross.imag).sum() / (omega**2 * cross.real).sum())


@every_effect
class TestEveryEffect:
    def test_declares_what_it_is(self, name: str, chosen: dict[str, Any]) -> None:
        effect = make(name, chosen)
        assert effect.effect == name
        assert isinstance(effect.linear, bool)
        assert effect.latency_frames == 0

    def test_keeps_length_and_stays_finite(self, name: str, chosen: dict[str, Any]) -> None:
        audio = material(name)[:, :-77]
        result = make(name, chosen).apply(audio, RATE)
        assert result.shape == audio.shape
        assert result.dtype == np.float32
        assert np.isfinite(result).all()

    def test_adds_no_delay(self, name: str, chosen: dict[str, Any]) -> None:
        if chosen.get("phase") in ("minimum", "mixed"):
            pytest.skip("a minimum-phase filter turns phases by design")
        if name == "phase_repair":
            pytest.skip("it moves one of two channels by design")
        audio = material(name)
        assert abs(small_delay(audio, make(name, chosen).apply(audio, RATE))) < 0.1

    def test_is_deterministic(self, name: str, chosen: dict[str, Any]) -> None:
        audio = material(name)
        effect = make(name, chosen)
        first = effect.apply(audio, RATE)
        assert np.array_equal(first, effect.apply(audio, RATE))
        assert np.array_equal(first, make(name, chosen).apply(audio, RATE))

    def test_amount_zero_is_bit_exact(self, name: str, chosen: dict[str, Any]) -> None:
        audio = material(name)
        assert np.array_equal(make(name, {**chosen, "amount": 0.0}).apply(audio, RATE), audio)

    def test_leaves_its_input_alone(self, name: str, chosen: dict[str, Any]) -> None:
        audio = material(name)
        source = AudioBuffer.of(audio, RATE)
        make(name, chosen).process(source, source.like())
        assert np.array_equal(source.to_array(), audio)

    def test_silence_stays_silence(self, name: str, chosen: dict[str, Any]) -> None:
        assert not make(name, chosen).apply(np.zeros((2, 50_000), np.float32), RATE).any()

    @pytest.mark.parametrize("frames", [0, 1, 2, 100])
    def test_few_samples(self, name: str, chosen: dict[str, Any], frames: int) -> None:
        audio = np.full((2, frames), 0.25, np.float32)
        result = make(name, chosen).apply(audio, RATE)
        assert result.shape == audio.shape
        assert np.isfinite(result).all()

    def test_mono(self, name: str, chosen: dict[str, Any]) -> None:
        audio = material(name, channels=1)
        result = make(name, chosen).apply(audio, RATE)
        assert result.shape == audio.shape
        assert np.isfinite(result).all()

    @pytest.mark.parametrize("rate", [8000, 192_000])
    def test_low_and_high_rates(self, name: str, chosen: dict[str, Any], rate: int) -> None:
        audio = material(name, rate, seconds=1.3)
        result = make(name, chosen).apply(audio, rate)
        assert result.shape == audio.shape
        assert np.isfinite(result).all()
        # Nothing here changes the level of music by more than its gains do.
        assert -25 < db(result, audio) < 12

    def test_a_softer_song_comes_out_softer_and_otherwise_the_same(
        self, name: str, chosen: dict[str, Any]
    ) -> None:
        if name == "limiter":
            pytest.skip("a ceiling is absolute")
        audio = material(name)
        effect = make(name, chosen)
        loud, soft = effect.apply(audio, RATE), effect.apply(audio * np.float32(0.1), RATE)
        assert db(soft * 10 - loud, loud) < -80

    def test_adds_no_dc(self, name: str, chosen: dict[str, Any]) -> None:
        audio = material(name)
        result = make(name, chosen).apply(audio, RATE)
        rms = np.sqrt(np.mean(audio**2))
        # -50 dB: a gain that moves within a period of the lowest note leaves a little.
        assert np.all(np.abs(result.mean(axis=1)) <= np.abs(audio.mean(axis=1)) + 3e-3 * rms)

    def test_nothing_subnormal_is_left_in_the_silence_after(self, name: str, chosen: dict[str, Any]) -> None:
        audio = np.concatenate((material(name)[:, :40_000], np.zeros((2, 80_000), np.float32)), axis=1)
        result = np.abs(make(name, chosen).apply(audio, RATE)[:, 60_000:])
        # Numbers that small cost a processor a hundred times the time, and every later effect again.
        assert not np.any((result > 0) & (result < np.finfo(np.float32).tiny))

    def test_the_result_does_not_depend_on_the_blocks(
        self, name: str, chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        audio = material(name)
        effect = make(name, chosen)
        whole = effect.apply(audio, RATE)
        monkeypatch.setattr(processor_module, "BLOCK_FRAMES", 1 << 15)
        # Convolutions that are cut elsewhere round elsewhere.
        assert db(effect.apply(audio, RATE) - whole, whole) < -110

    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        frames=st.integers(1, 30_000),
        channels=st.integers(1, 3),
        rate=st.sampled_from([8000, 11_025, 22_050, 32_000, 48_000, 88_200]),
        seed=st.integers(0, 2**16),
    )
    def test_odd_shapes(
        self, name: str, chosen: dict[str, Any], frames: int, channels: int, rate: int, seed: int
    ) -> None:
        audio = np.random.default_rng(seed).standard_normal((channels, frames)).astype(np.float32)
        result = make(name, chosen).apply(audio, rate)
        assert result.shape == audio.shape
        assert np.isfinite(result).all()


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with np.errstate(divide="raise", invalid="raise"):
        yield


def test_every_effect_has_variants() -> None:
    assert set(VARIANTS) == set(EFFECTS)


@every_effect
def test_the_material_gives_every_effect_something_to_do(name: str, chosen: dict[str, Any]) -> None:
    if name == "equaliser" and not chosen:
        pytest.skip("no bands, nothing to do")
    audio = material(name)
    source = AudioBuffer.of(audio, RATE)
    into = source.like()
    assert make(name, chosen).process(source, into)["applied"]
    assert -60 < db(into.to_array() - audio, audio) < 0

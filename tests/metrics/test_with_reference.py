"""Measures against a reference: closed forms, torchmetrics, torch's STFT, museval, pystoi."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import OptionError
from engine.metrics import compare, describe
from engine.metrics.log_mel_distance import log_mel_distance_db, mel_filters
from engine.metrics.log_spectral_distance import log_spectral_distance
from engine.metrics.mr_stft import mr_stft_distance
from engine.metrics.si_sdr import si_sdr_db

RATE = 44_100
Noise = Callable[..., Audio]


def of(audio: np.ndarray, rate: int = RATE) -> AudioBuffer:
    return AudioBuffer.of(audio, rate)


@pytest.fixture
def pair(noise: Noise) -> tuple[Audio, Audio]:
    """A reference and the same with another channel's noise 15 dB under it."""
    clean = noise(3 * RATE + 123)
    return clean, clean + noise(clean.shape[1], seed=1) * np.float32(10 ** (-15 / 20))


def test_si_sdr_agrees_with_torchmetrics(pair: tuple[Audio, Audio]) -> None:
    metrics = pytest.importorskip("torchmetrics.functional.audio")
    clean, other = (torch.from_numpy(audio.reshape(-1).astype(np.float64)) for audio in pair)
    expected = float(metrics.scale_invariant_signal_distortion_ratio(other, clean))
    assert si_sdr_db(of(pair[0]), of(pair[1])) == pytest.approx(expected, abs=1e-4)


def test_si_sdr_ignores_the_level_and_polarity(pair: tuple[Audio, Audio]) -> None:
    values = [si_sdr_db(of(pair[0]), of(pair[1] * np.float32(gain))) for gain in (1.0, 0.25, -4.0)]
    assert values == pytest.approx([values[0]] * 3, abs=1e-4)


def test_si_sdr_of_a_copy_is_infinite_and_of_nothing_minus_infinite(pair: tuple[Audio, Audio]) -> None:
    assert si_sdr_db(of(pair[0]), of(pair[0])) == math.inf
    assert si_sdr_db(of(pair[0]), of(0 * pair[0])) == -math.inf
    assert si_sdr_db(of(0 * pair[0]), of(pair[0])) == -math.inf


@pytest.mark.parametrize("gain_db", [-6.0, 3.0])
def test_a_gain_is_its_own_distance(noise: Noise, gain_db: float) -> None:
    clean = of(noise(2 * RATE))
    louder = of(noise(2 * RATE) * np.float32(10 ** (gain_db / 20)))
    found = log_spectral_distance(clean, louder)
    # The floor, 72 dB down, takes a trifle off.
    assert found.distance_db == pytest.approx(abs(gain_db), rel=1e-3)
    assert [band.distance_db for band in found.bands] == pytest.approx([abs(gain_db)] * 5, rel=1e-3)
    assert log_mel_distance_db(clean, louder) == pytest.approx(abs(gain_db), rel=1e-3)
    resolutions = mr_stft_distance(clean, louder)
    assert resolutions.log_magnitude == pytest.approx(abs(gain_db) * math.log(10) / 20, rel=1e-3)
    assert resolutions.spectral_convergence == pytest.approx(abs(10 ** (gain_db / 20) - 1), rel=1e-3)


def test_distances_to_a_copy_are_zero(pair: tuple[Audio, Audio]) -> None:
    clean = of(pair[0])
    assert log_spectral_distance(clean, clean).distance_db == 0.0
    assert log_mel_distance_db(clean, clean) == 0.0
    assert mr_stft_distance(clean, clean).distance == 0.0


def torch_power(audio: Audio, length: int) -> torch.Tensor:
    spectrum = torch.stft(
        torch.from_numpy(audio.astype(np.float64)),
        length,
        length // 4,
        window=torch.hann_window(length, dtype=torch.float64),
        center=False,
        return_complex=True,
    )
    return spectrum.abs() ** 2


def test_the_distances_agree_with_torch(pair: tuple[Audio, Audio]) -> None:
    clean, other = (torch_power(audio, 2048) for audio in pair)
    frequencies = torch.arange(1025) * RATE / 2048
    floor = clean.mean() * 10**-7.2
    heard = frequencies < 20_000
    difference = 10 * torch.log10((other + floor) / (clean + floor))
    expected = difference[:, heard].square().mean(1).sqrt().mean()
    found = log_spectral_distance(of(pair[0]), of(pair[1]))
    assert found.distance_db == pytest.approx(float(expected), rel=2e-3)

    convergence, logs = [], []
    for length in (512, 1024, 2048):
        clean, other = (torch_power(audio, length) for audio in pair)
        floor = clean.mean() * 10**-7.2
        convergence.append(
            float(torch.linalg.norm(other.sqrt() - clean.sqrt()) / torch.linalg.norm(clean.sqrt()))
        )
        logs.append(float((0.5 * torch.log((other + floor) / (clean + floor))).abs().mean()))
    resolutions = mr_stft_distance(of(pair[0]), of(pair[1]))
    assert resolutions.spectral_convergence == pytest.approx(np.mean(convergence), rel=2e-3)
    assert resolutions.log_magnitude == pytest.approx(np.mean(logs), rel=2e-3)


def test_the_mel_filters_are_those_of_slaney() -> None:
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=RATE, n_fft=2048, n_mels=80, fmax=20_000)
    assert mel_filters(RATE, 2048) == pytest.approx(expected, abs=1e-6)


def test_the_mel_filters_have_equal_areas_and_known_middles() -> None:
    filters = mel_filters(RATE, 8192)
    areas = filters.sum(1) * RATE / 8192
    assert areas == pytest.approx(np.ones(80), rel=0.05)
    # 81 equal steps of Slaney's mel, which has 15 below 1 kHz and 27 per factor 6.4 above.
    top = 15 + 27 * math.log(20) / math.log(6.4)
    step = top / 81
    middles = filters.argmax(1) * RATE / 8192
    assert middles[0] == pytest.approx(200 / 3 * step, abs=6)
    assert middles[79] == pytest.approx(1000 * 6.4 ** ((80 * step - 15) / 27), abs=6)


def test_distances_rise_with_damage_and_do_not_depend_on_the_common_level(noise: Noise) -> None:
    clean = noise(2 * RATE)
    hurt = [clean + noise(clean.shape[1], seed=3) * np.float32(10 ** (-db / 20)) for db in (40, 20, 0)]
    for measure in (
        lambda a, b: log_spectral_distance(a, b).distance_db,
        log_mel_distance_db,
        lambda a, b: mr_stft_distance(a, b).distance,
    ):
        values = [measure(of(clean), of(other)) for other in hurt]
        assert values[0] < values[1] < values[2]
        quiet = measure(of(clean * np.float32(0.01)), of(hurt[1] * np.float32(0.01)))
        assert quiet == pytest.approx(values[1], rel=1e-3)


def test_a_missing_band_shows_in_its_band_alone(noise: Noise) -> None:
    from scipy import signal

    clean = noise(2 * RATE)
    taps = signal.firwin(1023, 10_000, window=("kaiser", 12), fs=RATE)
    cut = signal.oaconvolve(clean, taps[None], "same", axes=1)
    bands = [band.distance_db for band in log_spectral_distance(of(clean), of(cut)).bands]
    assert max(bands[:3]) < 0.1
    assert bands[4] > 40


def test_files_longer_than_a_block_are_measured_as_one(pair: tuple[Audio, Audio]) -> None:
    # Batches of frames must neither lose nor double any: the halves' means are the whole's.
    length = 2048 + 512 * 199
    clean, other = (audio[:, :length] for audio in pair)
    whole = log_mel_distance_db(of(clean), of(other))
    middle = 512 * 100
    first = log_mel_distance_db(of(clean[:, : middle + 1536]), of(other[:, : middle + 1536]))
    second = log_mel_distance_db(of(clean[:, middle:]), of(other[:, middle:]))
    assert whole == pytest.approx((first + second) / 2, rel=1e-4)


@pytest.mark.parametrize(("channels", "frames", "rate"), [(1, 1000, RATE), (2, 999, RATE), (2, 1000, 48_000)])
def test_another_shape_or_rate_is_refused(noise: Noise, channels: int, frames: int, rate: int) -> None:
    reference = of(noise(1000))
    other = of(noise(frames, channels), rate)
    for measure in (si_sdr_db, log_spectral_distance, log_mel_distance_db, mr_stft_distance):
        with pytest.raises(OptionError, match="can't be measured against"):
            measure(reference, other)


@pytest.mark.parametrize("frames", [1, 100, 2047, 2048, 5000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_recordings_of_any_shape_are_described(noise: Noise, frames: int, channels: int) -> None:
    audio = noise(frames, channels)
    found = describe(of(audio), of(audio))
    assert (found.frames, found.channels) == (frames, channels)
    assert found.against_reference is not None
    assert found.against_reference.si_sdr_db == 200.0
    assert found.against_reference.log_mel_distance_db == 0.0
    found.model_dump_json()


def test_silence_is_described_without_a_warning() -> None:
    silence = of(np.zeros((2, RATE)))
    found = describe(silence, silence)
    assert found.lufs is None
    assert found.shimmer_db is None
    assert found.stereo_correlation is None


def test_bss_eval_agrees_with_the_levels_that_were_mixed(noise: Noise) -> None:
    pytest.importorskip("museval")
    rate = 8000
    target, other, artifact = (noise(5 * rate, seed=seed) for seed in range(3))
    estimate = target + np.float32(0.1) * other + np.float32(10 ** (-30 / 20)) * artifact
    found = compare(of(estimate, rate), of(target, rate), interferers=[of(other, rate)], with_bss_eval=True)
    assert found.sir_db == pytest.approx(20, abs=0.3)
    # The 512-tap filters explain a little of what is unrelated.
    assert found.sar_db == pytest.approx(30, abs=0.5)
    assert found.sdr_db == pytest.approx(-10 * math.log10(0.01 + 0.001), abs=0.3)


def test_intelligibility_agrees_with_pystoi_at_its_own_rate() -> None:
    pystoi = pytest.importorskip("pystoi")
    pytest.importorskip("pesq")
    from engine.metrics.speech import speech_quality

    rng = np.random.default_rng(0)
    time = np.arange(3 * 16_000) / 16_000
    voice = np.sum([np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 40)], axis=0)
    voice = (0.1 * voice * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)
    noisy = voice + (0.02 * rng.standard_normal(voice.size)).astype(np.float32)
    found = speech_quality(of(voice[None], 16_000), of(noisy[None], 16_000))
    assert found.stoi == pytest.approx(float(pystoi.stoi(voice, noisy, 16_000)), abs=1e-6)
    assert found.pesq is None or 1.0 <= found.pesq <= 4.65

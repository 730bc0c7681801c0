"""Level and gain curve: gated levels ignore pauses and scale exactly, curves keep what they promise."""

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.gain_curve import FADED, GainCurve, decay, fall, hann, one_pole, piecewise
from engine.processors.level import Envelope, hop_length

SR = 44100


def noise(seconds: float, level: float = 0.1, channels: int = 2, seed: int = 0) -> np.ndarray:
    count = round(seconds * SR)
    return (level * np.random.default_rng(seed).standard_normal((channels, count))).astype(np.float32)


def gated(audio: np.ndarray) -> float | None:
    return Envelope.of(AudioBuffer.of(audio, SR)).gated_db


def test_level_of_noise_is_its_rms():
    assert gated(noise(5)) == pytest.approx(-20, abs=0.05)


def test_pauses_and_quiet_passages_do_not_count():
    music = noise(5)
    with_pauses = np.concatenate([music, np.zeros((2, 20 * SR), np.float32), noise(20, 1e-4), music], axis=1)
    assert gated(with_pauses) == pytest.approx(gated(music), abs=0.3)


@pytest.mark.parametrize("factor", [0.1, 0.01])
def test_a_quieter_copy_is_lower_by_exactly_the_difference(factor):
    music = noise(4) * np.repeat(np.float32(10) ** np.linspace(-3, 0, 40, dtype=np.float32), SR // 10)
    assert gated(music * np.float32(factor)) - gated(music) == pytest.approx(20 * np.log10(factor), abs=1e-4)


def test_silence_has_no_level():
    assert gated(np.zeros((1, SR), np.float32)) is None
    assert gated(np.zeros((1, 1), np.float32)) is None
    assert gated(noise(1, 1e-6)) is None


def test_shorter_than_a_window_has_a_level():
    assert gated(noise(0.1)) == pytest.approx(-20, abs=0.5)
    assert gated(np.full((1, 1), 0.5, np.float32)) is not None


def test_the_envelope_does_not_depend_on_where_blocks_end():
    music = noise(13)
    envelope = Envelope.of(AudioBuffer.of(music, SR))
    hop = envelope.hop_length
    whole = music.shape[1] // hop * hop
    np.testing.assert_array_equal(
        envelope.peak[: whole // hop], np.abs(music[:, :whole]).reshape(2, -1, hop).max(axis=(0, 2))
    )
    assert len(envelope.peak) == -(-music.shape[1] // hop)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000, 192000])
def test_a_hop_is_about_0_7_ms_and_divides_every_block(rate):
    hop = hop_length(rate)
    assert 0.5e-3 < hop / rate < 1.05e-3
    assert (1 << 13) % hop == 0


def test_a_curve_is_the_same_however_it_is_asked_for():
    curve = GainCurve(np.random.default_rng(1).random(100).astype(np.float32), 32)
    whole = curve.over(-100, 3500)
    for start, count in ((-100, 1), (0, 32), (17, 500), (3000, 400)):
        np.testing.assert_array_equal(curve.over(start, count), whole[start + 100 : start + 100 + count])
    assert (whole[:100] == curve.gain[0]).all()
    assert (whole[-100:] == curve.gain[-1]).all()


def test_a_curve_is_straight_between_the_middles_of_hops():
    curve = GainCurve(np.arange(10, dtype=np.float32), 4)
    at = np.arange(40)
    np.testing.assert_allclose(curve.over(0, 40), ((at + 0.5) / 4 - 0.5).clip(0, 9), atol=1e-6)


def test_fall_decay_and_one_pole_are_their_recursions():
    curve = np.random.default_rng(2).random(400).astype(np.float32) ** 8
    fallen, decayed, smoothed = [curve[0]], [curve[0]], [curve[0]]
    a = np.exp(-1 / 20)
    for x in curve[1:]:
        fallen.append(max(x, fallen[-1] - 0.01))
        decayed.append(max(x, a * decayed[-1]))
        smoothed.append(a * smoothed[-1] + (1 - a) * x)
    np.testing.assert_allclose(fall(curve, 0.01), fallen, atol=1e-6)
    np.testing.assert_allclose(decay(curve, 20), decayed, atol=1e-6)
    np.testing.assert_allclose(one_pole(curve, 20), smoothed, atol=1e-6)


def test_shaping_in_pieces_is_shaping_as_a_whole(monkeypatch):
    curve = np.random.default_rng(3).random(1000).astype(np.float32)
    monkeypatch.setattr("engine.processors.gain_curve.PIECE", 64)
    for shape, margin in (
        (lambda x: fall(x, 0.01), 100),
        (lambda x: decay(x, 9), 9 * FADED),
        (lambda x: one_pole(x, 9), 9 * FADED),
        (lambda x: hann(x, 9), 9),
    ):
        np.testing.assert_allclose(piecewise(shape, [curve], margin), shape(curve), atol=2e-6)


def test_hann_keeps_the_mean_and_constants():
    np.testing.assert_allclose(hann(np.full(50, 3, np.float32), 4), 3, rtol=1e-6)
    impulse = np.zeros(51, np.float32)
    impulse[25] = 1
    smooth = hann(impulse, 4)
    assert smooth.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(smooth, smooth[::-1], atol=1e-7)

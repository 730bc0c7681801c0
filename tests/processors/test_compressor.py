"""Compressor: evens out loud and quiet by its ratio, keeps level and image, and adds no delay."""

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.processors.compressor import Compressor
from engine.processors.level import Envelope

SR = 44100


def steps(levels_db: list[float], seconds: float = 1.0, hz: float = 441.0) -> np.ndarray:
    """A sine whose level steps, panned to 1 : 0.25."""
    count = round(seconds * SR)
    gain = np.repeat(10 ** (np.array(levels_db) / 20), count)
    tone = 0.5 * gain * np.sin(2 * np.pi * hz * np.arange(len(gain)) / SR)
    return np.stack([tone, 0.25 * tone]).astype(np.float32)


def music(seconds: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    rise = np.repeat(10 ** (rng.uniform(-20, 0, 10 * seconds) / 20), SR // 10)
    return (0.2 * rise * rng.standard_normal((2, len(rise)))).astype(np.float32)


def rms_db(audio: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-30))


def test_a_step_comes_out_smaller_by_the_ratio():
    dry = steps([-6, 0] * 4)
    wet = Compressor(threshold_db=-20, ratio=3, attack_ms=5, release_ms=30, max_reduction_db=40).apply(
        dry, SR
    )
    settled = wet.reshape(2, 8, SR)[:, :, SR // 2 :]
    assert rms_db(settled[:, 3]) - rms_db(settled[:, 2]) == pytest.approx(2, abs=0.1)


def test_the_knee_follows_the_paper():
    compressor = Compressor(ratio=4, knee_db=10, max_reduction_db=40)
    over = np.array([-20, -5, 0, 5, 15], np.float32)
    expected = [0, 0, 0.75 * 25 / 20, 0.75 * 100 / 20, 0.75 * 15]
    np.testing.assert_allclose(compressor.static_reduction_db(over), expected, atol=1e-5)


def test_reduction_is_capped():
    compressor = Compressor(threshold_db=-40, ratio=20, max_reduction_db=6)
    found = compressor.analyse(AudioBuffer.of(music(), SR))
    assert found.curve.lowest_db == pytest.approx(-6, abs=1e-3)


@pytest.mark.parametrize("ratio", [1.5, 4, 20])
def test_gated_level_stays(ratio):
    dry = music()
    wet = Compressor(threshold_db=-10, ratio=ratio).apply(dry, SR)
    before, after = (Envelope.of(AudioBuffer.of(audio, SR)).gated_db for audio in (dry, wet))
    assert after == pytest.approx(before, abs=0.05)


def test_a_quieter_stem_comes_out_quieter_and_otherwise_the_same():
    dry = music()
    loud, quiet = Compressor().apply(dry, SR), Compressor().apply(dry * np.float32(0.1), SR)
    assert rms_db(quiet * 10 - loud) - rms_db(loud) < -90


def test_long_pauses_change_nothing_where_there_is_music():
    dry = music()
    longer = np.concatenate([np.zeros((2, 20 * SR), np.float32), dry], axis=1)
    with_pause = Compressor().apply(longer, SR)[:, 20 * SR :]
    alone = Compressor().apply(dry, SR)
    # The first moments differ: the release of nothing against a settled start.
    later = slice(2 * SR, None)
    difference = rms_db(with_pause[:, later]) - rms_db(alone[:, later])
    assert abs(difference) < 0.1


def test_the_stereo_image_stays():
    wet = Compressor(threshold_db=-20).apply(steps([-10, 0, -20, 0]), SR)
    np.testing.assert_allclose(wet[1], 0.25 * wet[0], rtol=1e-4, atol=1e-9)


def test_nothing_moves():
    dry = music(4)
    wet = Compressor(threshold_db=-10, ratio=8).apply(dry, SR)
    spectrum = np.fft.rfft(wet[0]) * np.conj(np.fft.rfft(dry[0]))
    assert np.argmax(np.fft.irfft(spectrum)) == 0


def test_nothing_to_do():
    assert Compressor(threshold_db=30).analyse(AudioBuffer.of(music(2), SR)) is None
    assert Compressor(ratio=1).analyse(AudioBuffer.of(music(2), SR)) is None
    assert Compressor().analyse(AudioBuffer.of(np.zeros((2, SR)), SR)) is None


def test_steady_sound_is_only_passed():
    dry = steps([0] * 4)
    wet = Compressor(threshold_db=-12, ratio=4).apply(dry, SR)
    middle = slice(SR, 3 * SR)
    assert rms_db(wet[:, middle] - dry[:, middle]) - rms_db(dry) < -40


def test_the_report_tells_what_was_done():
    source = AudioBuffer.of(music(), SR)
    report = Compressor().process(source, source.like())
    assert report["max_reduction_db"] > 1
    assert report["makeup_db"] > 0
    assert 0 < report["active_share"] < 1

"""The residual goes where the energy is, and the stems then sum to the mix."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.errors import Cancelled
from engine.separation.residual import share_residual, split_residual

SAMPLE_RATE = 44_100


def db(ratio):
    return 20 * np.log10(max(ratio, 1e-30))


def rms(audio):
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def null_db(mix, stems):
    """Peak of the mix less the stems, which are summed in float64, in dBFS."""
    return db(np.abs(mix.astype(np.float64) - sum(stem.astype(np.float64) for stem in stems)).max())


def tone(hz, frames, sample_rate=SAMPLE_RATE, level=0.1):
    return level * np.sin(2 * np.pi * hz * np.arange(frames) / sample_rate)


def share(mix, estimates, sample_rate=SAMPLE_RATE, model_rate=SAMPLE_RATE):
    """(stems by name, residual level) for arrays of shape (channels, frames)."""
    stems = {name: AudioBuffer.of(estimate, sample_rate) for name, estimate in estimates.items()}
    level = share_residual(AudioBuffer.of(mix, sample_rate), stems, model_rate)
    return {name: stem.to_array() for name, stem in stems.items()}, level


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 1023, 1024, 65_536, 65_537, 150_001])
def test_stems_sum_to_the_mix(noise, frames, channels):
    mix = noise(frames, channels)
    estimates = {name: noise(frames, channels, seed=seed) for seed, name in enumerate("abcd", 1)}
    stems, _ = share(mix, estimates)
    assert null_db(mix, stems.values()) < -140
    assert all(stem.shape == mix.shape and stem.dtype == np.float32 for stem in stems.values())


@pytest.mark.parametrize("sample_rate", [8000, 11_025, 22_050, 32_000, 48_000, 88_200, 96_000, 192_000])
def test_stems_sum_to_the_mix_at_every_rate(noise, sample_rate):
    mix = noise(3 * sample_rate + 1)
    stems, _ = share(mix, {"a": mix * 0.5, "b": noise(mix.shape[1], seed=1)}, sample_rate)
    assert null_db(mix, stems.values()) < -140


def test_a_loud_mix_nulls_too(noise):
    mix = noise(100_000, level=2.0)
    stems, _ = share(mix, {"a": mix * 0.9, "b": mix * 0.05})
    assert np.abs(mix).max() > 8
    assert null_db(mix, stems.values()) < -120


def test_each_bin_goes_to_the_stem_that_sounds_there():
    frames = 150_000
    low, high = tone(300, frames), tone(5000, frames)
    stems, _ = share((low + high)[None], {"low": low[None] * 0.9, "high": high[None] * 0.8})
    assert db(rms(stems["low"] - low) / rms(low)) < -45
    assert db(rms(stems["high"] - high) / rms(high)) < -45


def test_channels_are_shared_out_each_by_itself(noise):
    left, right = noise(100_000, 1), noise(100_000, 1, seed=1)
    silence = np.zeros_like(left)
    mix = np.concatenate([left, right])
    estimates = {
        "left": np.concatenate([left * 0.9, silence]),
        "right": np.concatenate([silence, right * 0.9]),
    }
    stems, _ = share(mix, estimates)
    assert db(rms(stems["left"][1]) / rms(right)) < -60
    assert db(rms(stems["left"][0] - left) / rms(left)) < -60


def test_what_the_model_rate_cannot_carry_goes_to_who_holds_the_octave_below():
    rate, frames = 96_000, 300_000
    air, cymbal, bass = (tone(hz, frames, rate) for hz in (30_000, 15_000, 80))
    stems, _ = share((air + cymbal + bass)[None], {"drums": cymbal[None], "bass": bass[None]}, rate)
    assert db(rms(stems["drums"] - air - cymbal) / rms(air)) < -40
    assert db(rms(stems["bass"] - bass) / rms(bass)) < -40


def test_shares_are_equal_where_all_are_silent(noise):
    mix = noise(100_000)
    silence = np.zeros_like(mix)
    stems, level = share(mix, {"a": silence, "b": silence, "c": silence, "d": silence})
    for stem in stems.values():
        np.testing.assert_allclose(stem, mix / 4, atol=1e-6)
    assert level == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("left_db", [-60.0, -30.0, 6.0])
def test_the_level_is_that_of_what_was_left_over(noise, left_db):
    mix = noise(200_000)
    share_of_mix = 1 - 10 ** (left_db / 20)
    estimates = {"a": mix * share_of_mix / 2, "b": mix * share_of_mix / 2}
    _, level = share(mix, estimates)
    assert level == pytest.approx(left_db, abs=1e-3)


def test_a_silent_mix_has_no_level():
    silence = np.zeros((2, 10_000), np.float32)
    stems, level = share(silence, {"a": silence, "b": silence})
    assert level is None
    assert not any(stem.any() for stem in stems.values())


def test_perfect_estimates_are_not_changed(noise):
    mix = noise(100_000)
    stems, level = share(mix, {"a": mix, "b": np.zeros_like(mix)})
    np.testing.assert_array_equal(stems["a"], mix)
    assert level == -200.0


def test_block_edges_cannot_be_seen(noise, monkeypatch):
    from engine.separation import residual

    mix = noise(300_000)
    estimates = {"a": mix * 0.7, "b": noise(300_000, seed=1) * 0.2}
    stems, _ = share(mix, estimates)
    monkeypatch.setattr(residual, "BLOCK_WINDOWS", 64)
    wide, _ = share(mix, estimates)
    for name in stems:
        np.testing.assert_allclose(stems[name], wide[name], atol=1e-6)


def test_same_in_same_out(noise):
    mix, estimate = noise(100_000), noise(100_000, seed=1)
    first, again = (share(mix, {"a": estimate, "b": mix})[0] for _ in range(2))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])


def test_as_a_stem_it_completes_the_others_and_leaves_them_alone(noise, tmp_path):
    frames = 600_001
    mix, estimates = noise(frames), {"a": noise(frames, seed=1), "b": noise(frames, seed=2)}
    stems = {name: AudioBuffer.of(estimate, SAMPLE_RATE) for name, estimate in estimates.items()}
    source = AudioBuffer.of(mix, SAMPLE_RATE)
    rest = source.like(tmp_path / "rest.f32")
    level = split_residual(source, stems, rest)
    for name, estimate in estimates.items():
        np.testing.assert_array_equal(stems[name].to_array(), estimate)
    assert null_db(mix, [*estimates.values(), rest.to_array()]) < -140
    assert level == pytest.approx(db(rms(rest.to_array()) / rms(mix)), abs=1e-3)


@pytest.mark.parametrize("mode", ["share", "stem"])
def test_progress_reaches_the_end_and_can_stop_it(noise, mode):
    source = AudioBuffer.of(noise(1_200_000, 1), SAMPLE_RATE)
    seen = []

    def work(progress):
        stems = {"a": source.like()}
        if mode == "share":
            share_residual(source, stems, SAMPLE_RATE, progress)
        else:
            split_residual(source, stems, source.like(), progress)

    work(lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (1_200_000, 1_200_000)

    def stop(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        work(stop)


def test_memory_does_not_grow_with_the_recording(tmp_path):
    def peak(frames):
        rate = 8000
        folder = tmp_path / str(frames)
        folder.mkdir()
        mix = AudioBuffer.create(folder / "mix.f32", 1, frames, rate)
        stems = {name: mix.like(folder / name) for name in "abcd"}
        tracemalloc.start()
        share_residual(mix, stems, SAMPLE_RATE)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(8000)
    assert peak(8 * 60 * 8000) < 1.1 * peak(60 * 8000)

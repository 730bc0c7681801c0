"""Stems have exactly the shape of what came in and sum to it, at every rate, and nothing is left behind."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.errors import Cancelled, InputError, ModelError, OutputError
from engine.progress import Progress
from engine.separation.stems import separate_stems


class Recorder(Progress):
    """Keeps what it is told, and cancels after so many updates."""

    def __init__(self, cancel_after=None):
        super().__init__()
        self.seen = []
        self.cancel_after = cancel_after

    def update(self, stage, done, total):
        self.seen.append((stage, done, total))
        if len(self.seen) == self.cancel_after:
            self.cancel()


def null_db(source, buffers):
    error = source.to_array().astype(np.float64)
    for buffer in buffers.values():
        error -= buffer.to_array()
    return 20 * np.log10(max(np.abs(error).max(), 1e-30))


def separate(audio, sample_rate, separator, folder, residual="share", seed=0, progress=None):
    source = AudioBuffer.of(audio, sample_rate)
    stems = separate_stems(
        source, separator, folder, seed=seed, residual=residual, progress=progress or Progress()
    )
    return source, stems


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


NAMES = ["bass.f32", "drums.f32", "other.f32", "vocals.f32"]


@pytest.mark.parametrize("residual", ["share", "stem"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_stems_have_the_shape_of_the_source_and_sum_to_it(
    noise, fake_separator, tmp_path, sample_rate, channels, residual
):
    audio = noise(2 * sample_rate + 137, channels)
    source, stems = separate(audio, sample_rate, fake_separator, tmp_path, residual)
    assert list(stems.buffers) == [*fake_separator.sources] + ["residual"] * (residual == "stem")
    for name, buffer in stems.buffers.items():
        assert buffer.shape == source.shape
        assert buffer.sample_rate == sample_rate
        assert buffer.path == tmp_path / f"{name}.f32"
    assert null_db(source, stems.buffers) < -140
    assert files(tmp_path) == sorted(NAMES + ["residual.f32"] * (residual == "stem"))


@pytest.mark.parametrize("sample_rate", [8000, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("milliseconds", [0, 1, 20, 99])
def test_short_sources_work(noise, fake_separator, tmp_path, sample_rate, milliseconds):
    audio = noise(1 + sample_rate * milliseconds // 1000, 1)
    source, stems = separate(audio, sample_rate, fake_separator, tmp_path)
    assert all(buffer.shape == source.shape for buffer in stems.buffers.values())
    assert null_db(source, stems.buffers) < -140


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [44_100, 48_000, 96_000])
def test_stems_hold_their_bands_where_they_were(fake_separator, tmp_path, sample_rate, channels):
    """A click of a band in the source is a click of that band in its stem at the same frame."""
    frames, place = sample_rate, sample_rate // 3
    time = (np.arange(frames) - place) / sample_rate
    click = np.cos(2 * np.pi * 3000 * time) * np.exp(-((time / 0.002) ** 2)) * 0.5
    audio = np.repeat(click[None], channels, axis=0)
    _, stems = separate(audio, sample_rate, fake_separator, tmp_path)
    other = stems.buffers["other"].to_array()
    np.testing.assert_allclose(other, audio, atol=5e-3)
    assert np.abs(other[0]).argmax() == place


def test_the_residual_is_told_honestly(noise, fake_separator, tmp_path):
    audio = noise(100_000)
    levels = [
        separate(audio, 44_100, fake_separator, tmp_path / mode, mode)[1].residual_db
        for mode in ("share", "stem")
    ]
    assert levels == pytest.approx([-30.0, -30.0], abs=0.01)


def test_what_the_model_rate_cannot_carry_counts_as_left_over_and_comes_back(noise, fake_separator, tmp_path):
    audio = noise(192_000)
    source, stems = separate(audio, 96_000, fake_separator, tmp_path)
    beyond_db = 10 * np.log10(1 - 44_100 / 96_000)
    assert stems.residual_db == pytest.approx(beyond_db, abs=0.3)
    assert null_db(source, stems.buffers) < -140


@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
@pytest.mark.parametrize("kind", ["constant", "cancelling", "silent", "one side", "loud"])
def test_awkward_sources_null_too(noise, fake_separator, tmp_path, kind, sample_rate):
    left, silence = noise(60_001, 1), np.zeros((1, 60_001), np.float32)
    audio = {
        "constant": np.full((2, 60_001), 0.5),
        "cancelling": np.concatenate([left, -left]),
        "silent": np.concatenate([silence, silence]),
        "one side": np.concatenate([left, silence]),
        "loud": noise(60_001) * 20,
    }[kind]
    source, stems = separate(audio, sample_rate, fake_separator, tmp_path)
    assert null_db(source, stems.buffers) < -120
    assert (stems.residual_db is None) == (kind == "silent")


def test_the_source_is_only_read(noise, fake_separator, tmp_path):
    audio = noise(50_000)
    source, _ = separate(audio, 44_100, fake_separator, tmp_path)
    np.testing.assert_array_equal(source.to_array(), audio)


@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_same_seed_same_bytes(noise, fake_separator, tmp_path, sample_rate):
    audio = noise(100_001)
    for run in ("first", "again"):
        separate(audio, sample_rate, fake_separator, tmp_path / run, seed=7)
    for name in NAMES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_progress_spans_the_whole_step(noise, fake_separator, tmp_path, sample_rate):
    progress = Recorder()
    separate(noise(10 * sample_rate, 1), sample_rate, fake_separator, tmp_path, progress=progress)
    assert {(stage, total) for stage, _, total in progress.seen} == {("separate", 1000)}
    done = [done for _, done, _ in progress.seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1000)
    assert len(set(done)) > 10


@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
@pytest.mark.parametrize("after", [1, 3, 5, 15])
def test_cancelled_within_one_segment_and_nothing_is_left(
    noise, fake_separator, tmp_path, after, sample_rate
):
    progress = Recorder(cancel_after=after)
    with pytest.raises(Cancelled):
        separate(noise(10 * sample_rate), sample_rate, fake_separator, tmp_path, progress=progress)
    assert len(progress.seen) == after
    assert files(tmp_path) == []


@pytest.mark.parametrize("sample_rate", [44_100, 48_000])
def test_a_failing_model_leaves_nothing(noise, fake_separator, tmp_path, sample_rate):
    def separate_badly(audio, seed, progress, cancel):
        yield 0, np.zeros((4, 2, 100), np.float32)
        raise ModelError("The model fell over.")

    fake_separator.separate = separate_badly
    with pytest.raises(ModelError, match="fell over"):
        separate(noise(50_000), sample_rate, fake_separator, tmp_path)
    assert files(tmp_path) == []


def test_an_existing_file_is_not_touched(noise, fake_separator, tmp_path):
    (tmp_path / "bass.f32").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"bass\.f32"):
        separate(noise(5000), 44_100, fake_separator, tmp_path)
    assert files(tmp_path) == ["bass.f32"]
    assert (tmp_path / "bass.f32").read_bytes() == b"mine"


def test_an_empty_source_is_refused(fake_separator, tmp_path):
    with pytest.raises(InputError, match="no audio"):
        separate(np.zeros((2, 0), np.float32), 44_100, fake_separator, tmp_path)


def test_surround_is_refused(noise, fake_separator, tmp_path):
    with pytest.raises(InputError, match="6 channels"):
        separate(noise(1000, 6), 44_100, fake_separator, tmp_path)


def test_memory_does_not_grow_with_the_recording(fake_separator, tmp_path):
    rate = 8000

    def peak(seconds):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        source = AudioBuffer.create(folder / "source.f32", 1, seconds * rate, rate)
        separator = type(fake_separator)(sample_rate=6000)
        tracemalloc.start()
        separate_stems(source, separator, folder, seed=0, residual="share", progress=Progress())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(12 * 60) < 1.1 * peak(3 * 60)

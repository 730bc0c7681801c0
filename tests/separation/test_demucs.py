"""DemucsSeparator: upstream's samples, every awkward input, and failing devices."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from engine.audio.buffer import AudioBuffer
from engine.errors import DeviceError, InputError, ModelError, OptionError
from engine.separation import device
from engine.separation.demucs import DemucsSeparator
from engine.separation.device import pick_device
from engine.separation.device_link import DeviceLink
from engine.separation.normalisation import Normalisation
from engine.separation.separator import SeparationOptions

SAMPLE_RATE = 4410


class Model(torch.nn.Module):
    """Divides its input unevenly among four sources, and remembers what it was given."""

    sources = ("drums", "bass", "other", "vocals")
    samplerate = SAMPLE_RATE
    segment = Fraction(39, 5)
    audio_channels = 2
    parts = (0.4, 0.3, 0.2, 0.07)

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0.0

    def valid_length(self, length: int) -> int:
        return int(self.segment * self.samplerate)

    def forward(self, mix: torch.Tensor) -> torch.Tensor:
        self.peak = max(self.peak, float(mix.abs().max()))
        return torch.stack([mix * part for part in self.parts], dim=1)


def separator(model=None, options=None, device="cpu", **more):
    models = [model or Model()]
    return DemucsSeparator("tiny", models, [[1.0] * 4], "00", options or SeparationOptions(), device, **more)


def stems_of(separator, audio, seed=0):
    blocks = separator.separate(
        AudioBuffer.of(audio, separator.sample_rate), seed, lambda done, total: None, lambda: None
    )
    return np.concatenate([block for _, block in blocks], axis=-1)


def test_tells_what_the_model_is():
    tiny = separator()
    assert (tiny.name, tiny.sources, tiny.sample_rate, tiny.channels) == (
        "tiny",
        Model.sources,
        SAMPLE_RATE,
        2,
    )


@pytest.mark.parametrize("shifts", [0, 1, 2])
def test_follows_upstream_from_normalisation_to_its_undoing(noise, shifts):
    from demucs.apply import apply_model

    audio = noise(60_001) + np.float32(0.03)
    wav = torch.from_numpy(audio)
    mono = wav.mean(0)
    mean, std = mono.mean(), mono.std() + 1e-8
    random.seed(5)
    upstream = apply_model(Model(), ((wav - mean) / std)[None], shifts=shifts)[0] * std + mean
    ours = stems_of(separator(options=SeparationOptions(shifts=shifts)), audio, seed=5)
    np.testing.assert_allclose(ours, upstream.numpy() - 0.75 * mean.item(), atol=2e-6)


@pytest.mark.parametrize("frames", [1, 88, 4410, 50_001])
def test_a_constant_comes_back_once_not_four_times(frames):
    class Whole(Model):
        parts = (0.4, 0.3, 0.2, 0.1)

    audio = np.full((2, frames), 0.5, np.float32)
    np.testing.assert_allclose(stems_of(separator(Whole()), audio).sum(axis=0), audio, atol=1e-6)


def test_a_mean_is_shared_alike(noise):
    audio = noise(20_000, level=0.01) + np.float32(0.5)
    stems = stems_of(separator(), audio)
    np.testing.assert_allclose(stems.mean(axis=(1, 2)), 0.125, atol=1e-3)


@pytest.mark.parametrize("level", [1e-9, 0.1, 100.0])
def test_channels_that_cancel_are_not_blown_up(noise, level):
    left = noise(20_000, channels=1, level=level)
    audio = np.concatenate([left, -left])
    model = Model()
    stems = stems_of(separator(model), audio)
    assert model.peak < 10
    np.testing.assert_allclose(stems.sum(axis=0), audio * sum(Model.parts), atol=level * 1e-3)


def test_silence_stays_silent():
    assert not stems_of(separator(), np.zeros((2, 5000), np.float32)).any()


def test_level_is_measured_as_upstream_does_over_many_blocks(noise):
    audio = noise(1_200_000, level=1e-3) + np.float32(0.9)
    mono = audio.astype(np.float64).mean(axis=0)
    level = Normalisation.of(AudioBuffer.of(audio, SAMPLE_RATE))
    assert level.mean == pytest.approx(mono.mean(), rel=1e-12)
    assert level.std == pytest.approx(mono.std(ddof=1) + 1e-8, rel=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_source_with_numbers_that_are_none_is_refused(noise, value):
    audio = noise(5000)
    audio[1, 77] = value
    with pytest.raises(InputError, match="not a number"):
        stems_of(separator(), audio)


def test_same_seed_same_samples(noise):
    audio = noise(40_000)
    np.testing.assert_array_equal(stems_of(separator(), audio, 3), stems_of(separator(), audio, 3))


def test_damaged_weights_are_named(noise):
    class Damaged(Model):
        parts = (float("nan"), 0.0, 0.0, 0.0)

    with pytest.raises(ModelError, match="stemfix models verify tiny"):
        stems_of(separator(Damaged()), noise(5000))


def test_wrong_shape_is_a_mistake_of_the_caller(noise):
    with pytest.raises(ValueError, match="2 channels"):
        stems_of(separator(), noise(5000, channels=1))


@pytest.mark.parametrize(
    ("fact", "value"), [("sources", ("a", "b", "c", "d")), ("samplerate", 1), ("audio_channels", 1)]
)
def test_members_that_differ_are_refused(fact, value):
    odd = Model()
    setattr(odd, fact, value)
    with pytest.raises(ModelError, match=fact):
        DemucsSeparator("bag", [Model(), odd], [[1.0] * 4] * 2, "00", SeparationOptions(), "cpu")


@pytest.mark.parametrize("weights", [[], [[1.0] * 3], [[1.0] * 4] * 2, [[1.0, 1.0, 1.0, 0.0]]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ModelError, match="weight"):
        DemucsSeparator("bag", [Model()], weights, "00", SeparationOptions(), "cpu")


def test_an_empty_bag_is_refused():
    with pytest.raises(ModelError, match="empty"):
        DemucsSeparator("bag", [], [], "00", SeparationOptions(), "cpu")


def htdemucs():
    from demucs.htdemucs import HTDemucs

    torch.manual_seed(0)
    return HTDemucs(["a", "b"], channels=16, nfft=256, depth=2, t_layers=0, samplerate=2000, segment=2).eval()


@pytest.mark.parametrize("segment_s", [None, 0.9, 2.0])
def test_segment_is_chosen_as_upstream_does(noise, segment_s):
    from demucs.apply import apply_model

    audio = noise(9001)
    tiny = DemucsSeparator(
        "tiny", [htdemucs()], [[1.0, 1.0]], "00", SeparationOptions(shifts=0, segment_s=segment_s), "cpu"
    )
    level = Normalisation.of(AudioBuffer.of(audio, 2000))
    wav = torch.from_numpy(level.apply(audio))[None]
    upstream = apply_model(htdemucs(), wav, shifts=0, segment=segment_s)[0].numpy()
    np.testing.assert_array_equal(stems_of(tiny, audio), level.undo(upstream))


def test_a_segment_longer_than_trained_is_refused():
    with pytest.raises(OptionError, match=r"2\.0 s"):
        DemucsSeparator("tiny", [htdemucs()], [[1.0] * 2], "00", SeparationOptions(segment_s=2.1), "cpu")


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_senseless_thread_count_is_refused(monkeypatch, value):
    monkeypatch.setenv("TORCH_NUM_THREADS", value)
    with pytest.raises(OptionError, match="TORCH_NUM_THREADS"):
        separator()


def test_the_thread_count_is_taken_from_the_environment(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("TORCH_NUM_THREADS", str(before + 1))
    try:
        separator()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


class TestDevice:
    """What can be proven about devices without having one."""

    def present(self, monkeypatch, *devices):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in devices)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in devices)

    @pytest.mark.parametrize(
        ("devices", "chosen"),
        [((), "cpu"), (("mps",), "mps"), (("cuda",), "cuda"), (("cuda", "mps"), "cuda")],
    )
    def test_auto_takes_the_best_there_is(self, monkeypatch, devices, chosen):
        self.present(monkeypatch, *devices)
        assert pick_device("auto") == chosen
        assert pick_device("cpu") == "cpu"

    @pytest.mark.parametrize("device", ["cuda", "mps"])
    def test_one_that_is_absent_is_refused(self, monkeypatch, device):
        self.present(monkeypatch)
        with pytest.raises(DeviceError, match="--device auto"):
            pick_device(device)

    def test_one_that_does_not_exist_is_refused(self):
        with pytest.raises(OptionError, match="abacus"):
            pick_device("abacus")

    def gpu(self, monkeypatch, fails, notes, **more):
        """A separator on a GPU, whose computations raise what `fails(segments)` gives for so many at once."""
        infer = DemucsSeparator._infer

        def failing(self, index, batch, device):
            if device != "cpu" and (error := fails(len(batch))) is not None:
                raise error
            return infer(self, index, batch, "cpu")

        monkeypatch.setattr(DemucsSeparator, "_infer", failing)
        monkeypatch.setattr(DemucsSeparator, "_move", lambda self, device: None)
        monkeypatch.setattr("engine.separation.demucs.DeviceLink", lambda device: DeviceLink("cpu"))
        return separator(device="cuda", note=notes.append, **more)

    @pytest.mark.parametrize(
        "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory")]
    )
    def test_too_little_memory_moves_the_work_to_the_cpu_step_by_step(self, monkeypatch, noise, error):
        audio, notes = noise(200_000), []
        tiny = self.gpu(monkeypatch, lambda segments: error, notes)
        np.testing.assert_array_equal(stems_of(tiny, audio), stems_of(separator(), audio))
        assert tiny.device == "cpu"
        assert [note.split("; ")[1] for note in notes] == [
            "going on with 2.",
            "going on with 1.",
            "that segment is computed on the CPU.",
            "that segment is computed on the CPU.",
            "going on on the CPU.",
        ]

    def test_fewer_segments_at_a_time_may_be_enough(self, monkeypatch, noise):
        audio, notes, sizes = noise(200_000), [], []
        full = torch.OutOfMemoryError("CUDA out of memory.")

        def fails(segments):
            sizes.append(segments)
            return full if segments > 2 else None

        tiny = self.gpu(monkeypatch, fails, notes, batch=8)
        np.testing.assert_array_equal(stems_of(tiny, audio), stems_of(separator(), audio))
        assert (tiny.device, len(notes), sizes[:3]) == ("cuda", 2, [8, 4, 2])

    def test_memory_that_is_short_for_a_moment_costs_one_segment_only(self, monkeypatch, noise):
        audio, notes = noise(200_000), []
        moments = iter([torch.OutOfMemoryError("CUDA out of memory.")])
        tiny = self.gpu(monkeypatch, lambda segments: next(moments, None), notes, batch=1)
        np.testing.assert_array_equal(stems_of(tiny, audio), stems_of(separator(), audio))
        assert (tiny.device, len(notes)) == ("cuda", 1)

    def test_the_next_recording_tries_the_gpu_again(self, monkeypatch, noise):
        audio, notes, full = noise(200_000), [], [torch.OutOfMemoryError("CUDA out of memory.")]
        tiny = self.gpu(monkeypatch, lambda segments: full[0] if full else None, notes)
        stems_of(tiny, audio)
        assert tiny.device == "cpu"
        full.clear()
        stems_of(tiny, audio)
        assert (tiny.device, tiny._batch, len(notes)) == ("cuda", 4, 5)

    def test_cancel_is_noticed_between_the_segments_of_a_batch(self, monkeypatch, noise):
        calls = []
        tiny = self.gpu(
            monkeypatch, lambda segments: torch.OutOfMemoryError("CUDA out of memory."), [], batch=8
        )
        blocks = tiny.separate(
            AudioBuffer.of(noise(200_000), SAMPLE_RATE), 0, lambda done, total: None, lambda: calls.append(1)
        )
        next(blocks)
        assert len(calls) >= 5

    def test_another_failure_says_what_to_do(self, monkeypatch, noise):
        tiny = self.gpu(monkeypatch, lambda _: RuntimeError("device-side assert triggered\nmore"), [])
        with pytest.raises(DeviceError, match="--device cpu"):
            stems_of(tiny, noise(5000))


@pytest.mark.weights
def test_htdemucs_gives_upstreams_samples():
    """At least 90 dB SNR per stem; on one machine only the rounding of mean and deviation differs."""
    from demucs.apply import apply_model

    from engine.separation import weights

    found = weights.installed("htdemucs") or weights.pull("htdemucs")
    models, bag_weights = weights.load_models(found)
    song = Path(__file__).parents[2] / "examples" / "demo.flac"
    samples, sample_rate = soundfile.read(song, frames=10 * 44_100, dtype="float32")
    audio = np.ascontiguousarray(samples.T)
    assert sample_rate == 44_100
    real = DemucsSeparator("htdemucs", models, bag_weights, found.digest, SeparationOptions(shifts=1), "cpu")
    ours = stems_of(real, audio, seed=1)

    wav = torch.from_numpy(audio)
    mono = wav.mean(0)
    mean, std = mono.mean(), mono.std() + 1e-8
    random.seed(1)
    upstream = apply_model(models[0], ((wav - mean) / std)[None], shifts=1)[0] * std + mean / 4
    for expected, stem in zip(upstream.double().numpy(), ours, strict=True):
        error = expected - stem
        assert 10 * np.log10(np.square(expected).sum() / np.square(error).sum()) > 90


def test_devices_are_those_that_can_be_asked_for():
    assert device.DEVICES == ("auto", "cuda", "mps", "cpu")

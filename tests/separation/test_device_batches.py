"""Batches on a device: what is computed there is what a CPU computes, and no more than its memory holds.

No GPU is needed. The path is the same for every device, so here the device is a CPU that says it is one.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from engine.audio.buffer import AudioBuffer
from engine.errors import DeviceError, ModelError
from engine.separation import arithmetic, demucs
from engine.separation.demucs import DemucsSeparator
from engine.separation.device_batches import DeviceBatches
from engine.separation.device_link import DeviceLink, segments_that_fit
from engine.separation.device_overlap_add import DeviceRun, device_overlap_add
from engine.separation.fidelity import bar_of_music, snr_db
from engine.separation.overlap_add import Member, overlap_add
from engine.separation.separator import SeparationOptions

SAMPLE_RATE = 8000
MB = 1_000_000


class FakeLink(DeviceLink):
    """A CPU that claims a GPU's memory: so much free, and so much per segment."""

    free, segment = 4000 * MB, 300 * MB

    def __init__(self, device: str = "cpu") -> None:
        super().__init__("cpu")

    def free_bytes(self):
        return self.free

    def bytes_of(self, compute):
        compute()
        return self.segment


@pytest.fixture
def on_device(monkeypatch):
    """`on_device(networks, ...)`: a separator that takes this CPU for a GPU."""
    choices = {"full": ("f32",), "reduced": ("bf16", "f16", "f32")}
    monkeypatch.setattr(demucs, "DeviceLink", FakeLink)
    monkeypatch.setattr(demucs, "candidates", lambda device, precision: choices[precision])
    monkeypatch.setattr(DemucsSeparator, "_move", lambda self, device: None)

    def make(networks, precision="full", shifts=1, notes=None, **more):
        options = SeparationOptions(precision=precision, shifts=shifts)
        weights = more.pop("weights", [[1.0] * 4] * len(networks))
        note = None if notes is None else notes.append
        return DemucsSeparator("tiny", networks, weights, "00", options, "cuda", note=note, **more)

    return make


@pytest.fixture(scope="module")
def hybrid():
    from demucs.htdemucs import HTDemucs

    networks = []
    for seed in range(2):
        torch.manual_seed(seed)
        networks.append(
            HTDemucs(
                ["drums", "bass", "other", "vocals"],
                channels=8,
                nfft=1024,
                depth=4,
                t_layers=1,
                t_heads=2,
                samplerate=SAMPLE_RATE,
                segment=Fraction(1, 1),
            ).eval()
        )
    return networks


@pytest.fixture(scope="module")
def music():
    return bar_of_music(2, 5 * SAMPLE_RATE + 17, SAMPLE_RATE) * np.float32(0.1)


def blocks_of(separator, audio, cancel=lambda: None, seen=None):
    return list(
        separator.separate(
            AudioBuffer.of(audio, separator.sample_rate),
            3,
            lambda done, total: seen.append((done, total)) if seen is not None else None,
            cancel,
        )
    )


def stems_of(separator, audio):
    return np.concatenate([block for _, block in blocks_of(separator, audio)], axis=-1)


def plain(networks, shifts=1, **more):
    options = SeparationOptions(shifts=shifts)
    weights = more.pop("weights", [[1.0] * 4] * len(networks))
    return DemucsSeparator("tiny", networks, weights, "00", options, "cpu", **more)


@pytest.mark.parametrize(
    ("free_mb", "segment_mb", "batch"),
    [
        (0, 1000, 1),
        (-500, 1000, 1),
        (1200, 1000, 1),
        (2400, 1000, 1),
        (2600, 1000, 2),
        (4900, 1000, 2),
        (5000, 1000, 4),
        (12_000, 1000, 8),
        (24_000, 1000, 16),
        (140_000, 1000, 16),
        (1000, 0, 16),
    ],
)
def test_a_fifth_is_spared_and_the_rest_is_filled_by_powers_of_two(free_mb, segment_mb, batch):
    assert segments_that_fit(free_mb * MB, segment_mb * MB) == batch


class TestSegments:
    def at_once(self, free, segment, passes=1, output=11 * MB):
        link = FakeLink()
        link.free, link.segment = free, segment
        return DeviceBatches(link, [lambda kind: None], output, passes).segments("f32")

    def test_the_stems_of_every_pass_count(self):
        assert self.at_once(10_000 * MB, 800 * MB) == 8
        assert self.at_once(10_000 * MB, 800 * MB, passes=16) == 4
        assert self.at_once(7800 * MB, 800 * MB, passes=16) == 2

    def test_memory_that_tells_nothing_gives_no_number(self):
        assert self.at_once(None, 800 * MB) is None
        assert self.at_once(10_000 * MB, None) is None

    def test_the_largest_network_counts(self):
        link = FakeLink()
        sizes = iter([900 * MB, 3000 * MB])
        link.free = 8000 * MB
        link.bytes_of = lambda compute: next(sizes)
        assert DeviceBatches(link, [lambda kind: None] * 2, MB, 1).segments("f32") == 2

    def test_the_networks_are_measured_once_and_free_memory_every_time(self):
        link, tried = FakeLink(), []
        batches = DeviceBatches(link, [tried.append], MB, 1)
        sizes = []
        for free in (8000, 1000, 100):
            link.free = free * MB
            sizes.append(batches.segments("bf16"))
        assert (sizes, tried) == ([16, 2, 1], ["bf16"] * 2)


class TestArithmetic:
    exact = np.sin(np.arange(4000, dtype=np.float32)).reshape(1, 2, -1)

    def trial(self, error_db):
        def compute(kind):
            if kind == "f32":
                return self.exact
            found = error_db[kind]
            if isinstance(found, Exception):
                raise found
            return self.exact * np.float32(1 + 10 ** (-found / 20))

        return compute

    def choose(self, *error_db):
        notes = []
        trials = [self.trial(found) for found in error_db]
        batches = DeviceBatches(FakeLink(), trials, MB, 1)
        return batches.arithmetic(("bf16", "f16", "f32"), "reduced", notes.append), notes

    def test_the_first_that_keeps_the_promise_is_taken(self):
        assert self.choose({"bf16": 40}) == ("bf16", [])

    def test_the_worst_network_decides(self):
        chosen, notes = self.choose({"bf16": 40, "f16": 55}, {"bf16": 30, "f16": 50})
        assert (chosen, len(notes)) == ("f16", 1)
        assert "30 dB where 35" in notes[0]

    def test_32_bits_where_nothing_else_will_do(self):
        chosen, notes = self.choose({"bf16": RuntimeError("not implemented"), "f16": float("nan")})
        assert (chosen, len(notes)) == ("f32", 2)

    def test_full_precision_tries_nothing(self):
        assert arithmetic.candidates("cuda", "full") == ("f32",)
        assert arithmetic.candidates("cpu", "reduced") == ("f32",)

    @pytest.mark.parametrize(("native", "first"), [(True, ("f16", "bf16", "f32")), (False, ("f16", "f32"))])
    def test_bfloat16_only_where_the_gpu_has_it(self, monkeypatch, native, first):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
        assert arithmetic.candidates("cuda", "reduced") == first

    def test_32_bits_are_32_bits_and_the_settings_come_back(self):
        cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
        before = cudnn.allow_tf32, cudnn.deterministic, matmul.allow_tf32
        with arithmetic.computing_in("f32", "cpu"):
            assert (cudnn.allow_tf32, cudnn.deterministic, matmul.allow_tf32) == (False, True, False)
            assert torch.is_inference_mode_enabled()
            assert not torch.is_autocast_enabled("cpu")
        with arithmetic.computing_in("bf16", "cpu"):
            assert (cudnn.allow_tf32, matmul.allow_tf32) == (True, True)
            assert torch.is_autocast_enabled("cpu")
        assert (cudnn.allow_tf32, cudnn.deterministic, matmul.allow_tf32) == before


@pytest.mark.parametrize("frames", [1, 700, 1000, 5003])
@pytest.mark.parametrize(("overlap", "shifts"), [(0.25, 0), (0.1, 1), (0.75, 3)])
@pytest.mark.parametrize("batch", [1, 4])
def test_overlap_add_on_the_device_is_the_cpus_to_the_bit(frames, overlap, shifts, batch, noise):
    audio = noise(frames)

    def network(scale):
        return lambda batch: np.stack([batch * scale, batch**2, np.roll(batch, 7, axis=-1)], axis=1)

    members, here = [], []
    for scale, length, weights in ((0.3, 1000, (1.0, 0.5, 0.0)), (0.7, 640, (0.2, 1.0, 1.0))):
        member = Member(network(np.float32(scale)), weights, length, lambda frames, length=length: length)
        members.append(member)
        here.append((member, lambda batch, member=member: torch.from_numpy(member.forward(batch))))
    common = {
        "sample_rate": 800,
        "overlap": overlap,
        "shifts": shifts,
        "seed": 5,
        "cancel": lambda: None,
        "batch": batch,
    }

    def read(start, stop):
        return audio[:, start:stop]

    seen, seen_here = [], []
    expected = list(
        overlap_add([None, *members], read, frames, progress=lambda *now: seen.append(now), **common)
    )
    found = list(
        device_overlap_add(
            [None, *here],
            read,
            frames,
            link=DeviceLink("cpu"),
            progress=lambda *now: seen_here.append(now),
            **common,
        )
    )
    np.testing.assert_array_equal(
        np.concatenate([block for _, block in found], axis=-1),
        np.concatenate([block for _, block in expected], axis=-1),
    )
    starts = np.cumsum([0, *(block.shape[-1] for _, block in found)])
    assert [start for start, _ in found] == [*starts[:-1]]
    assert starts[-1] == frames
    assert max(block.shape[-1] for _, block in found) <= 1000
    assert (seen_here[0], seen_here[-1]) == (seen[0], seen[-1])


class TestHybridTransformer:
    def test_full_precision_is_the_cpus(self, on_device, hybrid, music):
        device = on_device(hybrid[:1])
        expected, found = stems_of(plain(hybrid[:1]), music), stems_of(device, music)
        assert device.batch == 8
        assert found.shape == expected.shape
        assert min(snr_db(a, b) for a, b in zip(expected, found, strict=True)) >= 90

    def test_reduced_precision_keeps_its_promise(self, on_device, hybrid, music):
        device = on_device(hybrid[:1], "reduced")
        expected, found = stems_of(plain(hybrid[:1]), music), stems_of(device, music)
        assert device.arithmetic in ("bf16", "f16")
        assert 35 <= snr_db(expected, found) < 90

    def test_a_bag_with_shifts_and_one_wanted_stem(self, on_device, hybrid, music):
        weights = [[1.0, 0.0, 0.5, 1.0], [0.5, 1.0, 0.5, 0.0]]
        for stems in (None, ("other",)):
            device = on_device(hybrid, shifts=2, weights=weights, stems=stems)
            short = music[:, : 2 * SAMPLE_RATE]
            expected = stems_of(plain(hybrid, shifts=2, weights=weights, stems=stems), short)
            found = stems_of(device, short)
            assert found.shape == expected.shape
            assert snr_db(expected, found) >= 90

    def test_same_samples_every_time(self, on_device, hybrid, music):
        device = on_device(hybrid[:1], "reduced")
        np.testing.assert_array_equal(stems_of(device, music), stems_of(device, music))

    def test_the_batch_follows_the_free_memory_at_each_recording(self, on_device, hybrid, music, monkeypatch):
        device = on_device(hybrid[:1])
        sizes = []
        for free in (500, 1000, 4000):
            monkeypatch.setattr(FakeLink, "free", free * MB)
            stems_of(device, music)
            sizes.append(device.batch)
        assert sizes == [1, 2, 8]

    def test_a_batch_that_was_asked_for_stands(self, on_device, hybrid, music):
        device = on_device(hybrid[:1], batch=3)
        stems_of(device, music)
        assert device.batch == 3


class TestTrouble:
    def test_what_leaves_the_range_of_float16_is_computed_in_32_bits(self, on_device, monkeypatch, noise):
        class Loud(torch.nn.Module):
            """Its products leave the range where segments are louder than the one that was tried."""

            sources, samplerate, audio_channels = ("a", "b", "c", "d"), SAMPLE_RATE, 2
            segment = Fraction(1, 1)

            def forward(self, mix):
                narrow = torch.is_autocast_enabled("cpu")
                loud = (mix * 5000).half().float() / 5000 if narrow else mix
                return torch.stack([loud] * 4, dim=1)

        audio = noise(5 * SAMPLE_RATE, level=0.001)
        audio[:, 20_000] = 1.0  # a click some hundred times as loud as the rest
        monkeypatch.setattr(demucs, "candidates", lambda device, precision: ("f16", "f32"))
        notes = []
        device = on_device([Loud()], "reduced", batch=1, notes=notes)
        expected = stems_of(plain([Loud()]), audio)
        blocks = blocks_of(device, audio)
        starts = np.cumsum([0, *(block.shape[-1] for _, block in blocks)])
        assert [start for start, _ in blocks] == [*starts[:-1]]
        found = np.concatenate([block for _, block in blocks], axis=-1)
        assert snr_db(expected, found) >= 35
        assert device.arithmetic == "f32"
        assert len(notes) == 1
        assert "too loud" in notes[0]
        np.testing.assert_array_equal(stems_of(device, audio), found)  # it is tried anew: the same bytes
        assert len(notes) == 2

    def test_no_room_for_the_sums_leaves_them_to_the_cpu(self, on_device, hybrid, music, monkeypatch):
        notes, seen = [], []
        expected = stems_of(plain(hybrid[:1]), music)
        device = on_device(hybrid[:1], notes=notes, batch=1)
        calls = iter(range(10**6))

        def full(*given):
            if next(calls) == 3:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return original(*given)

        original = DeviceRun._add
        monkeypatch.setattr(DeviceRun, "_add", full)
        blocks = blocks_of(device, music, seen=seen)
        starts = np.cumsum([0, *(block.shape[-1] for _, block in blocks)])
        assert [start for start, _ in blocks] == [*starts[:-1]]
        assert snr_db(expected, np.concatenate([block for _, block in blocks], axis=-1)) >= 90
        assert len(notes) == 1
        assert "add up" in notes[0]

    def test_samples_that_are_no_numbers_are_the_models_fault(self, on_device, hybrid, music, monkeypatch):
        device = on_device(hybrid[:1])
        infer = DemucsSeparator._infer
        monkeypatch.setattr(DemucsSeparator, "_infer", lambda *given: infer(*given) * float("nan"))
        with pytest.raises(ModelError, match="verify tiny"):
            stems_of(device, music)

    def test_another_failure_while_adding_is_told(self, on_device, hybrid, music, monkeypatch):
        def broken(*given):
            raise RuntimeError("device-side assert triggered")

        monkeypatch.setattr(DeviceRun, "_add", broken)
        with pytest.raises(DeviceError, match="--device cpu"):
            stems_of(on_device(hybrid[:1]), music)

    def test_cancel_stops_while_the_device_is_tried(self, on_device, hybrid, music):
        class Stop(Exception):
            pass

        def cancel():
            raise Stop

        with pytest.raises(Stop):
            blocks_of(on_device(hybrid[:1]), music, cancel)

"""Separation with OpenVINO: PyTorch's samples within the promise, and never in the way of PyTorch."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs

from engine.audio.buffer import AudioBuffer
from engine.errors import OptionError
from engine.separation import calibration, weights
from engine.separation.backend import load_separator
from engine.separation.calibration import (
    Backend,
    Calibration,
    calibration_path,
    chosen_backend,
    machine_name,
    package_versions,
    reset_calibration,
    save_calibration,
)
from engine.separation.compiled import Compiled
from engine.separation.converted import ConvertedNetworks, converted_bytes, converted_folder
from engine.separation.demucs import DemucsSeparator
from engine.separation.fidelity import PROMISED_SNR_DB, bar_of_music
from engine.separation.openvino_model import convert, import_openvino, transforms
from engine.separation.separator import SeparationOptions

pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")


def snr_db(reference, other):
    error = np.square(np.asarray(reference, np.float64) - other).sum()
    return 10 * np.log10(np.square(np.asarray(reference, np.float64)).sum() / max(error, 1e-30))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return HTDemucs(
        ["a", "b", "c"], channels=8, nfft=1024, depth=4, t_layers=1, t_heads=2, samplerate=8000, segment=1
    ).eval()


def test_transforms_are_upstreams(network, noise):
    segment = noise(8000)
    around = transforms(network)
    with torch.inference_mode():
        upstream = network._magnitude(network._spec(torch.from_numpy(segment)[None]))
        assert snr_db(upstream[0].numpy(), around.analyse(segment)) > 120
        parts = torch.from_numpy(noise(3 * 4 * 512 * around.columns)[:1]).reshape(
            1, 3, 4, 512, around.columns
        )
        back = network._ispec(network._mask(None, parts), 8000)
    assert snr_db(back[0].numpy(), around.synthesise(parts[0].numpy())) > 120


def test_openvino_is_imported_without_its_telemetry(start_python):
    code = (
        "import sys\n"
        "from engine.separation.openvino_model import import_openvino\n"
        "openvino = import_openvino()\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__, 'openvino_telemetry' in sys.modules)\n"
    )
    process = start_python(code)
    out, _ = process.communicate()
    assert out.split() == ["openvino.tools.ovc.telemetry_stub", "False"], out


def test_a_converted_network_gives_the_networks_samples(network, noise):
    openvino = import_openvino()
    compiled = openvino.Core().compile_model(convert(network), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    around, segment = transforms(network), noise(8000)
    result = compiled([segment[None], around.analyse(segment)[None]])
    ours = around.synthesise(result[0][0]) + result[1][0]
    with torch.inference_mode():
        upstream = network(torch.from_numpy(segment)[None])[0].numpy()
    assert snr_db(upstream, ours) > 100
    assert "_spec" not in vars(network)  # the network is left as it was
    assert "openvino_telemetry" not in sys.modules


OPTIONS = SeparationOptions(overlap=0.25, shifts=1)
TWO = Backend(engine="openvino", precision="f32", streams=2)
RATE = 44_100


@pytest.fixture
def tuned(specialists):
    """`specialists` on a machine where OpenVINO was measured as the fastest."""
    save_calibration(
        Calibration(
            machine=machine_name(),
            versions=package_versions(),
            model="specialists",
            segment_s=0.5,
            measured_at="2026-01-01T00:00:00+00:00",
            measured=[],
            chosen={"full": TWO, "reduced": TWO},
        )
    )
    return specialists


@pytest.fixture
def load(tuned):
    """`load()`: a separator for one stem of the bag, and the notes that were said."""

    def load(device="auto", options=OPTIONS):
        notes = []
        return load_separator(tuned, options, device, notes.append, ("vocals",)), notes

    return load


def stems_of(separator, audio):
    blocks = separator.separate(AudioBuffer.of(audio, RATE), 5, lambda done, total: None, lambda: None)
    return np.concatenate([block for _, block in blocks], axis=-1)


def plain(installed):
    return DemucsSeparator(
        "specialists",
        *weights.load_models(installed, (3,)),
        installed.digest,
        OPTIONS,
        "cpu",
        stems=("vocals",),
    )


def test_a_tuned_machine_separates_as_pytorch_does_and_prepares_once(load, tuned, noise, monkeypatch):
    audio = noise(2 * RATE + 17)
    separator, notes = load()
    assert separator.device == "cpu, OpenVINO f32"
    assert notes == ["Preparing specialists for OpenVINO, which is done once."]
    ours = stems_of(separator, audio)
    assert snr_db(stems_of(plain(tuned), audio), ours) > 80
    np.testing.assert_array_equal(stems_of(separator, audio), ours)

    with monkeypatch.context() as without:
        without.setattr(weights, "load_network", lambda *_: pytest.fail("no network is needed any more"))
        again, notes = load()
    assert (notes, converted_bytes()[0]) == ([], 1)
    np.testing.assert_array_equal(stems_of(again, audio), ours)

    model = next(converted_folder().glob("*/model.bin"))
    with open(model, "r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    repaired = ConvertedNetworks(import_openvino().get_version(), model.parents[1])
    assert repaired.get(tuned.files[3].sha256) is None
    assert not model.exists()


def test_a_failure_on_the_way_leaves_the_rest_to_pytorch(load, tuned, noise, monkeypatch):
    audio = noise(RATE)
    separator, notes = load()
    notes.clear()

    def broken(self, segment):
        raise RuntimeError("no more\ndetails")

    monkeypatch.setattr(Compiled, "estimate", broken)
    np.testing.assert_array_equal(stems_of(separator, audio), stems_of(plain(tuned), audio))
    assert notes == ["OpenVINO failed (no more); going on with PyTorch."]
    assert separator.device == "cpu"


class TestWithoutOpenVino:
    """PyTorch computes, and one note says why."""

    def test_where_it_does_not_load(self, load, monkeypatch):
        monkeypatch.setitem(sys.modules, "openvino", None)
        separator, notes = load()
        assert isinstance(separator, DemucsSeparator)
        assert len(notes) == 1
        assert notes[0].startswith("OpenVINO can't be used (")

    def test_where_it_is_not_as_precise_as_promised(self, load, monkeypatch):
        monkeypatch.setitem(PROMISED_SNR_DB, "full", 500.0)
        separator, notes = load()
        assert isinstance(separator, DemucsSeparator)
        assert "500 were promised" in notes[-1]

    def test_where_the_model_is_no_hybrid_transformer(self, tuned, tiny):
        notes = []
        installed = weights.pull("tiny", from_dir=tiny.safetensors)
        assert isinstance(load_separator(installed, OPTIONS, "cpu", notes.append), DemucsSeparator)
        assert notes == []

    def test_where_nothing_was_measured_and_it_is_told_once_what_to_do(self, load):
        assert reset_calibration()
        separator, notes = load()
        assert isinstance(separator, DemucsSeparator)
        assert separator.device == "cpu"
        assert "stemfix tune" in notes[0]
        assert load()[1] == []

    def test_where_its_version_is_another_than_measured(self, load, monkeypatch):
        monkeypatch.setattr(calibration, "package_versions", lambda: {"openvino": "1"})
        assert isinstance(load()[0], DemucsSeparator)


def test_a_segment_longer_than_trained_is_refused(load):
    with pytest.raises(OptionError, match=r"0\.5 s"):
        load(options=SeparationOptions(segment_s=0.6))


def test_a_calibration_that_cannot_be_read_is_none(tuned):
    calibration_path().write_text('{"machines": 3}')
    assert chosen_backend("full") == Backend()


def test_machines_that_share_a_folder_keep_their_own(tuned, monkeypatch):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(calibration, "machine_digest", lambda: "other")
        assert chosen_backend("full") == Backend()
        assert not reset_calibration()
    assert chosen_backend("full") == TWO
    assert "specialists" in calibration_path().read_text()


def test_the_bar_of_music_is_the_same_everywhere():
    first, again = (bar_of_music(2, 8000, 8000) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    assert first.shape == (2, 8000)


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize(("precision", "promised"), [("f32", 80), ("bf16", 35)])
def test_htdemucs_keeps_its_promise_on_a_real_song(htdemucs_installed, tmp_path_factory, precision, promised):
    """One segment of the demo song, every stem on its own."""
    import soundfile

    openvino = import_openvino()
    if precision == "bf16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no 16-bit arithmetic")
    cache = ConvertedNetworks("test", tmp_path_factory.getbasetemp() / "htdemucs")
    (real,), _ = weights.load_models(htdemucs_installed)
    sha256 = htdemucs_installed.files[0].sha256
    converted = cache.get(sha256) or cache.make(sha256, real)
    song = Path(__file__).parents[2] / "examples" / "demo.flac"
    samples, _ = soundfile.read(song, start=5 * RATE, frames=converted.facts.frames, dtype="float32")
    segment = np.ascontiguousarray(samples.T) / samples.std()
    with torch.inference_mode():
        reference = real(torch.from_numpy(segment)[None])[0].numpy()
    compiled = Compiled(openvino.Core(), converted.model, converted.facts.transforms, precision, 1, 2)
    for stem, estimate in zip(reference, compiled.estimate(segment), strict=True):
        assert snr_db(stem, estimate) >= promised

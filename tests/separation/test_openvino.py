"""Separation with OpenVINO: PyTorch's samples within the promise, and never in the way of PyTorch."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from demucs.htdemucs import HTDemucs

from engine.separation.openvino_model import convert, import_openvino, transforms


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

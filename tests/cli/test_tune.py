"""`stemfix tune`: what is measured is kept, shown and forgotten, and decides how a separation is computed."""

from __future__ import annotations

from fractions import Fraction
from importlib.util import find_spec

import pytest

from engine.separation import calibration, registry, tune, weights
from engine.separation.calibration import Backend, Measured, calibration_path, chosen_backend
from engine.separation.registry import ModelCard

SOURCES = ("drums", "bass", "other", "vocals")


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A little hybrid transformer, installed as the model `little`."""
    import torch
    from demucs.htdemucs import HTDemucs

    from engine.separation.checkpoint import save_network

    torch.manual_seed(0)
    network = HTDemucs(
        sources=list(SOURCES), channels=8, nfft=1024, depth=4, t_layers=1, t_heads=2, segment=Fraction(1, 2)
    )
    save_network(network, tmp_path / "eeee0000.safetensors")
    card = ModelCard("little", "a little transformer", SOURCES, (("eeee0000", "00000000"),))
    monkeypatch.setitem(registry.MODELS, "little", card)
    return weights.pull("little", from_dir=tmp_path)


def way(speed, snr_db, precision="f32", streams=1):
    backend = Backend(engine="openvino", precision=precision, streams=streams)
    return Measured(backend=backend, seconds_per_segment=1 / speed, speed=speed, snr_db=snr_db)


TORCH = Measured(backend=Backend(), seconds_per_segment=1.0, speed=1.0)


@pytest.mark.parametrize(
    ("ways", "full", "reduced"),
    [
        ([], 0, 0),
        ([way(1.4, 106.0), way(2.2, 40.0, "bf16")], 1, 2),
        ([way(1.4, 79.0), way(2.2, 34.0, "bf16")], 0, 1),  # not what was promised
        ([way(1.02, 106.0), way(0.5, 40.0, "bf16")], 0, 0),  # not worth it
        ([way(1.2, 106.0), way(1.4, 106.0, streams=2), way(1.3, 40.0, "bf16")], 2, 2),
        ([way(1.2, 106.0), way(2.0, 90.0, "bf16")], 1, 2),  # 16 bits are never full precision
    ],
)
def test_the_fastest_that_keeps_the_promise_is_chosen(ways, full, reduced):
    measured = [TORCH, *ways]
    assert tune.choose(measured, "full") == measured[full].backend
    assert tune.choose(measured, "reduced") == measured[reduced].backend


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_measured_shown_and_forgotten(stemfix, little, monkeypatch):
    monkeypatch.setattr(tune, "_ROUNDS", 1)
    monkeypatch.setattr(tune, "_WORTH_IT", 0.0)  # a network this small tells nothing about speed
    (found,) = stemfix("tune", "--json").objects
    assert found["current"] is True
    assert found["model"] == "little"
    ways = [way["backend"]["engine"] for way in found["measured"]]
    assert ways[0] == "torch"
    assert "openvino" in ways
    assert found["measured"][1]["snr_db"] > 80
    assert found["chosen"]["full"]["precision"] == "f32"
    assert chosen_backend("full").engine == "openvino"

    assert stemfix("tune", "--show", "--json").objects == [found]
    shown = stemfix("tune", "--show")
    assert shown.status == 0
    assert "OpenVINO f32" in shown.out
    assert str(calibration_path()) in shown.out

    (cache,) = stemfix("cache", "info", "--json").objects
    assert cache["openvino"]["entries"] == 1
    assert "prepared for OpenVINO" in stemfix("cache", "info").out
    assert stemfix("cache", "clear").status == 0
    assert stemfix("cache", "info", "--json").objects[0]["openvino"]["entries"] == 0

    monkeypatch.setattr(calibration, "package_versions", lambda: {"torch": "99"})
    assert "Run: stemfix tune" in stemfix("tune", "--show").out
    assert chosen_backend("full") == Backend()

    assert stemfix("tune", "--reset").status == 0
    assert stemfix("tune", "--show", "--json").objects == [None]
    assert "Nothing was measured" in stemfix("tune", "--reset").out


def test_without_openvino_there_is_only_pytorch(stemfix, little, monkeypatch):
    def absent():
        raise ImportError("no module named openvino")

    monkeypatch.setattr(tune, "import_openvino", absent)
    outcome = stemfix("tune", "--json")
    assert [way["backend"]["engine"] for way in outcome.objects[0]["measured"]] == ["torch"]
    assert "not installed" in outcome.err
    assert chosen_backend("reduced") == Backend()


def test_without_a_model_it_says_what_to_pull(stemfix):
    outcome = stemfix("tune")
    assert outcome.status == 2
    assert "stemfix models pull htdemucs" in outcome.err
    assert not calibration_path().exists()


def test_show_and_reset_exclude_each_other(stemfix):
    assert stemfix("tune", "--show", "--reset").status == 2

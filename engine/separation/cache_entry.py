"""One entry of the stem cache on disk: a raw file per stem, and `entry.json` with their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio.buffer import AudioBuffer

ENTRY = "entry.json"
_COPY_BYTES = 4 << 20


@dataclass(frozen=True)
class CachedStems:
    """What an entry holds: stems of equal shape in the order they were put in, and the residual's level."""

    buffers: dict[str, AudioBuffer]
    residual_db: float | None


class Damaged(Exception):
    """An entry is not what was put in."""


def write_entry(
    folder: Path,
    key: str,
    buffers: Mapping[str, AudioBuffer],
    residual_db: float | None,
    cancel: Callable[[], None],
) -> None:
    """Write stems of one shape into `folder`, which is empty; `entry.json` comes last."""
    stems = []
    for name, buffer in buffers.items():
        digest = hashlib.sha256()
        with open(folder / f"{name}.f32", "xb") as file:
            for _, block in buffer.blocks():
                cancel()
                raw = np.ascontiguousarray(block.T, dtype="<f4").tobytes()
                digest.update(raw)
                file.write(raw)
        stems.append({"name": name, "sha256": digest.hexdigest()})
    first = next(iter(buffers.values()))
    entry = {
        "key": key,
        "channels": first.channels,
        "frames": first.frames,
        "sample_rate": first.sample_rate,
        "residual_db": residual_db,
        "stems": stems,
    }
    (folder / ENTRY).write_text(json.dumps({**entry, "digest": _digest(entry)}), "utf-8")


def read_entry(folder: Path, key: str, into: Path, cancel: Callable[[], None]) -> CachedStems:
    """Copy the stems of the entry in `folder` to files in `into`, and check every byte on the way.

    If it fails, no file of it is left in `into`. Raises Damaged, FileNotFoundError or OSError.
    """
    with contextlib.ExitStack() as unfinished, contextlib.ExitStack() as open_files:
        entry = _parse((folder / ENTRY).read_bytes(), key)
        channels, frames, rate = entry["channels"], entry["frames"], entry["sample_rate"]
        # All are opened before the first is copied, so that an eviction in the middle does no harm.
        readers = {
            stem["name"]: open_files.enter_context(open(folder / f"{stem['name']}.f32", "rb"))
            for stem in entry["stems"]
        }
        into.mkdir(parents=True, exist_ok=True)
        buffers = {}
        for stem in entry["stems"]:
            path = into / f"{stem['name']}.f32"
            unfinished.callback(path.unlink, missing_ok=True)
            digest = hashlib.sha256()
            with open(path, "wb") as writer:
                while block := readers[stem["name"]].read(_COPY_BYTES):
                    cancel()
                    digest.update(block)
                    writer.write(block)
                size = writer.tell()
            if size != 4 * channels * frames or digest.hexdigest() != stem["sha256"]:
                raise Damaged
            buffers[stem["name"]] = AudioBuffer.open(path, channels, frames, rate)
        unfinished.pop_all()
        with contextlib.suppress(OSError):
            os.utime(folder / ENTRY)  # its time of change is the entry's last use
        return CachedStems(buffers, entry["residual_db"])


def _parse(raw: bytes, key: str) -> dict[str, Any]:
    """The contents of an `entry.json` for `key`. Raises Damaged if a single character of them was altered."""
    try:
        entry: dict[str, Any] = json.loads(raw)
        digest = entry.pop("digest")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Damaged from error
    if digest != _digest(entry) or entry.get("key") != key:
        raise Damaged
    return entry


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()

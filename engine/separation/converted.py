"""ConvertedNetworks: networks in OpenVINO's form, kept on disk by the weights they were made from.

An entry is a folder with the model in 32 bits (`model.xml`, `model.bin`) and `entry.json`, made under a
temporary name and published by one rename. Every byte is checked when it is opened; what is damaged is made
again. Entries of other versions of OpenVINO go first, then those that were not used for longest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.files import sha256_of
from engine.paths import cache_dir
from engine.separation.files import write_whole
from engine.separation.openvino_model import CONVERSION, convert, transforms
from engine.separation.spectral import Spectral

#: htdemucs takes 180 MB, htdemucs_ft four times that.
LIMIT_BYTES = 2_000_000_000

_ENTRY, _FIDELITY = "entry.json", "fidelity.json"
_FILES = ("model.xml", "model.bin")


@dataclass(frozen=True)
class Facts:
    """What a network says of itself."""

    sources: tuple[str, ...]
    sample_rate: int
    channels: int
    n_fft: int
    frames: int

    @property
    def transforms(self) -> Spectral:
        """The transforms that go around the network."""
        return Spectral(self.n_fft, self.frames)


@dataclass(frozen=True)
class Converted:
    """An entry."""

    folder: Path
    facts: Facts

    @property
    def model(self) -> Path:
        """The file that OpenVINO opens."""
        return self.folder / _FILES[0]

    def snr_db(self, way: str) -> float | None:
        """How near `way` of computing came to PyTorch; None if nobody has looked."""
        try:
            found = json.loads((self.folder / _FIDELITY).read_text("utf-8")).get(way)
            return None if found is None else float(found)
        except (OSError, ValueError, AttributeError):
            return None

    def keep_snr_db(self, way: str, snr_db: float) -> None:
        """Remember it, if the folder can be written."""
        with contextlib.suppress(OSError, ValueError):
            path = self.folder / _FIDELITY
            known = json.loads(path.read_text("utf-8")) if path.exists() else {}
            write_whole(path, json.dumps({**known, way: round(min(snr_db, 300.0), 1)}).encode())


class ConvertedNetworks:
    """Entries in `folder` for one version of OpenVINO, at most `limit_bytes` together with all others."""

    def __init__(self, openvino: str, folder: Path | None = None, limit_bytes: int = LIMIT_BYTES) -> None:
        self._openvino = openvino
        self.folder = folder or converted_folder()
        self.limit_bytes = limit_bytes

    def get(self, weights_sha256: str) -> Converted | None:
        """The network with these weights, or None."""
        folder = self._place(weights_sha256)
        try:
            entry = json.loads((folder / _ENTRY).read_text("utf-8"))
            facts = Facts(**{**entry["facts"], "sources": tuple(entry["facts"]["sources"])})
            if any(sha256_of(folder / name) != entry["sha256"][name] for name in _FILES):
                raise ValueError(f"{folder} is damaged")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            _discard(folder)
            return None
        with contextlib.suppress(OSError):
            os.utime(folder)  # its time of change is its last use
        return Converted(folder, facts)

    def make(self, weights_sha256: str, network: Any) -> Converted:
        """Convert `network`, whose weights these are. Raises OSError, and what OpenVINO raises."""
        from engine.separation.openvino_model import import_openvino

        around = transforms(network)
        facts = Facts(
            tuple(network.sources),
            int(network.samplerate),
            int(network.audio_channels),
            around.n_fft,
            around.frames,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".new-{uuid.uuid4().hex}"
        temporary.mkdir()
        try:
            # Not compressed to 16 bits: folded constants are no 16-bit numbers, which would cost 50 dB.
            import_openvino().save_model(convert(network), temporary / _FILES[0], compress_to_fp16=False)
            sums = {name: sha256_of(temporary / name) for name in _FILES}
            entry = {"openvino": self._openvino, "facts": asdict(facts), "sha256": sums}
            (temporary / _ENTRY).write_text(json.dumps(entry), "utf-8")
            self._make_room(_bytes_in(temporary))
            with contextlib.suppress(OSError):  # another process was first
                os.rename(temporary, self._place(weights_sha256))
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        made = self.get(weights_sha256)
        if made is None:
            raise OSError(f"{self._place(weights_sha256)} could not be written")
        return made

    def _place(self, weights_sha256: str) -> Path:
        parts = json.dumps([weights_sha256, self._openvino, CONVERSION])
        return self.folder / hashlib.sha256(parts.encode()).hexdigest()

    def _make_room(self, reserve_bytes: int) -> None:
        found = []
        for folder in _entries(self.folder):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                version = json.loads((folder / _ENTRY).read_text("utf-8")).get("openvino")
                ours = version == self._openvino
                found.append((ours, folder.stat().st_mtime_ns, _bytes_in(folder), folder))
        total = reserve_bytes + sum(size for _, _, size, _ in found)
        for _, _, size, folder in sorted(found):
            if total <= self.limit_bytes:
                break
            _discard(folder)
            total -= size


def converted_folder() -> Path:
    """Where converted networks lie: `openvino` in the cache folder."""
    return cache_dir() / "openvino"


def converted_bytes() -> tuple[int, int]:
    """How many converted networks there are, and their bytes."""
    sizes = [_bytes_in(folder) for folder in _entries(converted_folder())]
    return len(sizes), sum(sizes)


def clear_converted() -> None:
    """Delete all of them."""
    for folder in _entries(converted_folder()):
        _discard(folder)


def _entries(folder: Path) -> Iterator[Path]:
    for path in folder.glob("*"):
        if path.is_dir() and len(path.name) == 64:
            yield path


def _bytes_in(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


def _discard(folder: Path) -> None:
    trash = folder.with_name(f".old-{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        os.rename(folder, trash)
    shutil.rmtree(trash, ignore_errors=True)

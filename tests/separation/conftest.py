"""A tiny model with files of every form, and the real htdemucs for tests marked `weights`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

import engine
from engine.separation import registry, weights
from engine.separation.registry import ModelCard

SOURCES = ("drums", "bass", "other", "vocals")


@pytest.fixture(scope="session")
def htdemucs_installed() -> weights.InstalledModel:
    """The real htdemucs, pulled into the user's model folder if it is absent."""
    return weights.pull("htdemucs")


@dataclass(frozen=True)
class TinyModel:
    """A bag of two little networks that `pull("tiny")` can fetch, and folders that hold its files."""

    card: ModelCard
    safetensors: Path
    pickles: Path
    model_dir: Path

    @property
    def file(self) -> Path:
        """Where the first member's file lies once it is pulled."""
        return self.model_dir / "tiny" / f"{self.card.signatures[0]}.safetensors"


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, tuple[tuple[str, str], ...]]:
    import torch
    from demucs.demucs import Demucs

    from engine.separation.checkpoint import save_network

    flat, pickles = tmp_path_factory.mktemp("flat"), tmp_path_factory.mktemp("pickles")
    members = []
    for index, signature in enumerate(("aaaa0000", "bbbb1111")):
        torch.manual_seed(index)
        network = Demucs(sources=list(SOURCES), channels=4, depth=2, segment=2)
        for parameter in network.parameters():
            parameter.data = parameter.data.half().float()  # as demucs publishes its weights
        save_network(network, flat / f"{signature}.safetensors")
        args, kwargs = network._init_args_kwargs
        package = {"klass": Demucs, "args": args, "kwargs": kwargs, "state": network.state_dict()}
        unnamed = pickles / "unnamed"
        torch.save(package, unnamed)
        prefix = hashlib.sha256(unnamed.read_bytes()).hexdigest()[:8]
        unnamed.rename(pickles / f"{signature}-{prefix}.th")
        members.append((signature, prefix))
    return flat, pickles, tuple(members)


@pytest.fixture
def tiny(
    tiny_files: tuple[Path, Path, tuple[tuple[str, str], ...]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TinyModel:
    flat, pickles, members = tiny_files
    card = ModelCard(
        "tiny",
        "two little networks",
        SOURCES,
        members,
        bag_weights=((1.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 1.0)),
        segment_s=3.0,
        hub_repo="someone/tiny",
    )
    monkeypatch.setitem(registry.MODELS, "tiny", card)
    monkeypatch.setenv("STEMFIX_MODEL_DIR", str(tmp_path / "models"))
    return TinyModel(card, flat, pickles, tmp_path / "models")


@pytest.fixture(scope="session")
def specialist_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four little hybrid transformers of random weights."""
    import torch
    from demucs.htdemucs import HTDemucs

    from engine.separation.checkpoint import save_network

    folder = tmp_path_factory.mktemp("specialists")
    for index in range(4):
        torch.manual_seed(index)
        network = HTDemucs(
            sources=list(SOURCES),
            channels=8,
            nfft=1024,
            depth=4,
            t_layers=1,
            t_heads=2,
            segment=Fraction(1, 2),
        )
        save_network(network, folder / f"eeee000{index}.safetensors")
    return folder


@pytest.fixture
def specialists(
    specialist_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> weights.InstalledModel:
    """The bag `specialists`, installed: each member gives one stem, as in htdemucs_ft."""
    members = tuple((f"eeee000{index}", "00000000") for index in range(4))
    rows = tuple(tuple(float(column == row) for column in range(4)) for row in range(4))
    card = ModelCard("specialists", "four little transformers", SOURCES, members, rows)
    monkeypatch.setitem(registry.MODELS, card.name, card)
    monkeypatch.setenv("STEMFIX_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("STEMFIX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("STEMFIX_DATA_DIR", str(tmp_path / "data"))
    return weights.pull(card.name, from_dir=specialist_files)


@pytest.fixture
def start_python() -> Callable[..., subprocess.Popen[str]]:
    """`start_python(code, *args)`: another Python process that can import the engine."""

    def start(code: str, *args: object) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(engine.__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, args)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start

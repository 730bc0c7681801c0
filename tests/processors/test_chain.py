"""run_chain: bit-exact when there is nothing to do, at most two files, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer
from engine.errors import Cancelled
from engine.processors.chain import run_chain
from engine.processors.processor import Processor
from engine.progress import Progress

RATE = 44_100


class Times(Processor):
    """Multiplies; with 1 it finds nothing to do."""

    effect: ClassVar[str] = "times"
    linear: ClassVar[bool] = True
    seen: ClassVar[list[set[str]]] = []

    factor: float = 2.0

    def analyse(self, source: AudioBuffer) -> Any | None:
        if source.path is not None:
            self.seen.append({path.name for path in source.path.parent.iterdir()})
        return None if self.factor == 1.0 else self.factor

    def render(self, block: Audio, start: int, sample_rate: int, found: Any) -> Audio:
        return block * np.float32(found)


class Breaks(Times):
    def render(self, block: Audio, start: int, sample_rate: int, found: Any) -> Audio:
        raise RuntimeError("broken")


@pytest.fixture
def source(noise: Callable[..., Audio]) -> AudioBuffer:
    return AudioBuffer.of(noise(20_000), RATE)


@pytest.mark.parametrize(
    "chain", [(), (Times(factor=1.0),), (Times(amount=0.0), Times(factor=1.0), Times(amount=0.0))]
)
def test_with_nothing_to_do_the_source_comes_back(
    chain: tuple[Processor, ...], source: AudioBuffer, tmp_path: Path
) -> None:
    result, reports = run_chain(chain, source, tmp_path / "out.f32", tmp_path, None)
    assert result is source
    assert [report["applied"] for report in reports] == [False] * len(chain)
    assert list(tmp_path.iterdir()) == []


def test_effects_run_in_order_and_the_source_stays(source: AudioBuffer, tmp_path: Path) -> None:
    before = source.to_array()
    chain = (Times(factor=3.0), Times(factor=1.0), Times(factor=0.5), Times(amount=0.0))
    result, reports = run_chain(chain, source, tmp_path / "out.f32", tmp_path, Progress())
    assert result.path == tmp_path / "out.f32"
    assert result.shape == source.shape
    assert np.array_equal(result.to_array(), before * 3 * np.float32(0.5))
    assert np.array_equal(source.to_array(), before)
    assert [report["applied"] for report in reports] == [True, False, True, False]
    assert [path.name for path in tmp_path.iterdir()] == ["out.f32"]


def test_two_files_are_enough(source: AudioBuffer, tmp_path: Path) -> None:
    Times.seen.clear()
    run_chain([Times(factor=2.0)] * 5, source, tmp_path / "out.f32", tmp_path)
    assert max(len(names) for names in Times.seen) <= 2


def test_a_source_file_is_not_removed(noise: Callable[..., Audio], tmp_path: Path) -> None:
    source = AudioBuffer.create(tmp_path / "in.f32", 2, 20_000, RATE)
    source.write(0, noise(20_000))
    before = (tmp_path / "in.f32").read_bytes()
    run_chain((Times(), Times()), source, tmp_path / "out.f32", tmp_path)
    assert (tmp_path / "in.f32").read_bytes() == before


@pytest.mark.parametrize("failing", [Breaks(), Times()])
def test_nothing_is_left_after_a_failure(failing: Processor, source: AudioBuffer, tmp_path: Path) -> None:
    progress = Progress()
    if isinstance(failing, Breaks):
        with pytest.raises(RuntimeError, match="broken"):
            run_chain((Times(), failing), source, tmp_path / "out.f32", tmp_path, progress)
    else:
        progress.cancel()
        with pytest.raises(Cancelled):
            run_chain((failing,), source, tmp_path / "out.f32", tmp_path, progress)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_overwritten(source: AudioBuffer, tmp_path: Path) -> None:
    (tmp_path / "out.f32").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        run_chain((Times(),), source, tmp_path / "out.f32", tmp_path)
    assert (tmp_path / "out.f32").read_bytes() == b"mine"

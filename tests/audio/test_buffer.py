from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.audio.buffer import Audio, AudioBuffer


@pytest.fixture(params=["memory", "file"])
def buffer(request: pytest.FixtureRequest, tmp_path: Path) -> AudioBuffer:
    if request.param == "memory":
        return AudioBuffer.memory(2, 1000, 48000)
    return AudioBuffer.create(tmp_path / "a.f32", 2, 1000, 48000)


def test_zeros_until_written(buffer: AudioBuffer) -> None:
    assert buffer.shape == (2, 1000)
    assert not buffer.to_array().any()


def test_what_is_written_is_read(buffer: AudioBuffer, noise: Callable[..., Audio]) -> None:
    audio = noise(1000)
    for start, stop in [(600, 1000), (0, 1), (1, 600), (5, 5)]:
        buffer.write(start, audio[:, start:stop])
    assert buffer.to_array().tobytes() == audio.tobytes()
    buffer.write(10, noise(200)[:, ::2])  # any memory layout and float type
    buffer.write(110, noise(100).astype(np.float64))
    np.testing.assert_array_equal(buffer.read(10, 110), noise(200)[:, ::2])
    np.testing.assert_array_equal(buffer.read(110, 210), noise(100))


def test_zeros_outside(buffer: AudioBuffer, noise: Callable[..., Audio]) -> None:
    audio = noise(1000)
    buffer.write(0, audio)
    np.testing.assert_array_equal(buffer.read(-50, 1100), np.pad(audio, ((0, 0), (50, 100))))
    for start, stop in [(-20, -10), (1000, 1010), (7, 7), (9, 2)]:
        assert buffer.read(start, stop).shape == (2, max(stop - start, 0))


@pytest.mark.parametrize(("channels", "start", "frames"), [(1, 0, 10), (2, -1, 10), (2, 991, 10)])
def test_what_does_not_fit_is_refused(buffer: AudioBuffer, channels: int, start: int, frames: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        buffer.write(start, np.zeros((channels, frames)))


def test_blocks_cover_it_once_in_order(buffer: AudioBuffer, noise: Callable[..., Audio]) -> None:
    buffer.write(0, noise(1000))
    pairs = list(buffer.blocks(300))
    assert [start for start, _ in pairs] == [0, 300, 600, 900]
    np.testing.assert_array_equal(np.concatenate([block for _, block in pairs], axis=1), noise(1000))


def test_a_file_is_opened_again_with_its_own_shape_only(tmp_path: Path, noise: Callable[..., Audio]) -> None:
    AudioBuffer.create(tmp_path / "a.f32", 2, 1000, 48000).write(0, noise(1000))
    np.testing.assert_array_equal(
        AudioBuffer.open(tmp_path / "a.f32", 2, 1000, 48000).to_array(), noise(1000)
    )
    with pytest.raises(ValueError, match="does not hold"):
        AudioBuffer.open(tmp_path / "a.f32", 2, 999, 48000)
    with pytest.raises(FileExistsError):
        AudioBuffer.create(tmp_path / "a.f32", 2, 1000, 48000)


def test_a_file_that_was_cut_while_in_use_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.f32"
    buffer = AudioBuffer.create(path, 2, 1000, 48000)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(OSError, match="ended early"):
        buffer.read(0, 1000)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_told_by_its_error_number() -> None:
    buffer = AudioBuffer(2, 100_000, 48000, Path("/dev/full"))
    with pytest.raises(OSError, match="No space left") as caught:
        buffer.write(0, np.ones((2, 100_000)))
    assert caught.value.errno == 28

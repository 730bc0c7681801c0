from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.audio.buffer import AudioBuffer
from engine.errors import Cancelled, OptionError
from engine.separation import cache as cache_module
from engine.separation import cache_entry
from engine.separation.cache import StemCache, default_cache, stem_key
from engine.separation.separator import SeparationOptions

FRAMES, RATE = 3000, 44_100
ENTRY_BYTES = 2 * 2 * FRAMES * 4
KEYS = [f"{index:064x}" for index in range(8)]


def stems(seed: int = 0, frames: int = FRAMES) -> dict[str, AudioBuffer]:
    generator = np.random.default_rng(seed)
    return {
        name: AudioBuffer.of(generator.standard_normal((2, frames)).astype(np.float32), RATE)
        for name in ("vocals", "drums")
    }


def same(left: dict[str, AudioBuffer], right: dict[str, AudioBuffer]) -> bool:
    return list(left) == list(right) and all(
        np.array_equal(left[name].to_array(), right[name].to_array()) for name in left
    )


@pytest.fixture
def cache(tmp_path: Path) -> StemCache:
    return StemCache(tmp_path / "cache", 10 * ENTRY_BYTES)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def held(cache: StemCache) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir() if not path.name.startswith("."))


def hidden(cache: StemCache) -> list[str]:
    return [path.name for path in cache.folder.iterdir() if path.name.startswith((".new", ".old"))]


@pytest.mark.parametrize("frames", [0, 1, FRAMES])
def test_what_went_in_comes_out(cache: StemCache, work: Path, frames: int) -> None:
    assert cache.put(KEYS[0], stems(frames=frames), -31.5)
    found = cache.get(KEYS[0], work)
    assert found is not None
    assert same(found.buffers, stems(frames=frames))
    assert found.residual_db == -31.5
    assert found.buffers["drums"].path == work / "drums.f32"
    assert found.buffers["drums"].sample_rate == RATE
    assert hidden(cache) == []


@pytest.mark.parametrize("residual_db", [None, float("-inf"), 0.1])
def test_residual_level_survives(cache: StemCache, work: Path, residual_db: float | None) -> None:
    cache.put(KEYS[0], stems(), residual_db)
    found = cache.get(KEYS[0], work)
    assert found is not None
    assert found.residual_db == residual_db


def test_buffers_in_files_are_kept_alike(cache: StemCache, work: Path) -> None:
    buffers = {name: buffer.like(work / f"{name}.f32") for name, buffer in stems().items()}
    for name, buffer in stems().items():
        buffers[name].write(0, buffer.to_array())
    cache.put(KEYS[0], buffers, None)
    found = cache.get(KEYS[0], work / "new")
    assert found is not None
    assert same(found.buffers, stems())


def test_later_writes_to_the_buffers_do_not_alter_the_cache(cache: StemCache, work: Path) -> None:
    original = {name: buffer.like(work / f"{name}.f32") for name, buffer in stems().items()}
    cache.put(KEYS[0], original, None)
    original["drums"].write(0, np.ones((2, FRAMES), np.float32))
    first = cache.get(KEYS[0], work)
    assert first is not None
    first.buffers["drums"].write(0, np.ones((2, FRAMES), np.float32))
    second = cache.get(KEYS[0], work / "second")
    assert second is not None
    assert not any(buffer.to_array().any() for buffer in second.buffers.values())


def test_absent_key_is_a_miss(cache: StemCache, work: Path) -> None:
    assert cache.get(KEYS[0], work) is None
    cache.put(KEYS[0], stems(), None)
    assert cache.get(KEYS[1], work) is None
    assert not list(work.iterdir())


def damage_flip(entry: Path) -> None:
    path = entry / "drums.f32"
    data = bytearray(path.read_bytes())
    data[1234] ^= 1
    path.write_bytes(data)


def damage_swap(entry: Path) -> None:
    (entry / "drums.f32").rename(entry / "x")
    (entry / "vocals.f32").rename(entry / "drums.f32")
    (entry / "x").rename(entry / "vocals.f32")


def damage_json(entry: Path) -> None:
    path = entry / "entry.json"
    path.write_text(path.read_text().replace("-31.5", "-91.5"))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "flipped bit": damage_flip,
    "truncated": lambda entry: os.truncate(entry / "drums.f32", 4000),
    "empty": lambda entry: os.truncate(entry / "drums.f32", 0),
    "longer": lambda entry: os.truncate(entry / "drums.f32", ENTRY_BYTES),
    "missing stem": lambda entry: (entry / "drums.f32").unlink(),
    "stems exchanged": damage_swap,
    "no entry.json": lambda entry: (entry / "entry.json").unlink(),
    "empty entry.json": lambda entry: os.truncate(entry / "entry.json", 0),
    "half entry.json": lambda entry: os.truncate(entry / "entry.json", 60),
    "other entry.json": lambda entry: (entry / "entry.json").write_text("[]"),
    "bytes in entry.json": lambda entry: (entry / "entry.json").write_bytes(b"\xff\x00\xfe"),
    "altered entry.json": damage_json,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_entry_is_a_miss_and_is_deleted(cache: StemCache, work: Path, damage: str) -> None:
    cache.put(KEYS[0], stems(), -31.5)
    DAMAGES[damage](cache.folder / KEYS[0])
    assert cache.get(KEYS[0], work) is None
    assert held(cache) == []
    assert not list(work.iterdir())
    assert cache.put(KEYS[0], stems(), -31.5)
    assert cache.get(KEYS[0], work) is not None


def test_entry_under_another_key_is_a_miss(cache: StemCache, work: Path) -> None:
    cache.put(KEYS[0], stems(), None)
    (cache.folder / KEYS[0]).rename(cache.folder / KEYS[1])
    assert cache.get(KEYS[1], work) is None


def test_least_recently_used_goes_first(tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = StemCache(tmp_path / "cache", 3 * ENTRY_BYTES + 3000)  # room for three with their entry.json
    for age, key in enumerate(KEYS[:3]):
        cache.put(key, stems(), None)
        os.utime(cache.folder / key / "entry.json", (1000 + age, 1000 + age))
    assert cache.get(KEYS[0], work) is not None
    cache.put(KEYS[3], stems(), None)
    assert held(cache) == sorted([KEYS[0], KEYS[2], KEYS[3]])
    assert cache.info().size_bytes <= cache.limit_bytes


def test_entry_larger_than_the_limit_is_not_kept(tmp_path: Path) -> None:
    cache = StemCache(tmp_path / "cache", ENTRY_BYTES - 1)
    assert not cache.put(KEYS[0], stems(), None)
    assert not cache.folder.exists()


def test_limit_of_zero_turns_the_cache_off(tmp_path: Path, work: Path) -> None:
    StemCache(tmp_path / "cache", 10 * ENTRY_BYTES).put(KEYS[0], stems(), None)
    off = StemCache(tmp_path / "cache", 0)
    assert off.get(KEYS[0], work) is None
    assert not off.put(KEYS[1], stems(), None)


def test_full_disk_while_caching_is_no_error(cache: StemCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        (args[0] / "drums.f32").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "write_entry", full)
    assert not cache.put(KEYS[0], stems(), None)
    assert held(cache) == []
    assert hidden(cache) == []


def test_full_disk_while_reading_is_a_miss_and_keeps_the_entry(
    cache: StemCache, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.put(KEYS[0], stems(), None)

    def full(*args: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "read_entry", full)
    assert cache.get(KEYS[0], work) is None
    assert held(cache) == [KEYS[0]]


def test_folder_that_can_not_be_made_is_no_error(tmp_path: Path, work: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = StemCache(tmp_path / "file" / "cache", 10 * ENTRY_BYTES)
    assert not cache.put(KEYS[0], stems(), None)
    assert cache.get(KEYS[0], work) is None
    assert cache.info().entries == 0


def test_cancel_leaves_nothing(cache: StemCache, work: Path) -> None:
    countdown = itertools.count()

    def cancel() -> None:
        if next(countdown) == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        cache.put(KEYS[0], stems(), None, cancel)
    assert held(cache) + hidden(cache) == []
    cache.put(KEYS[0], stems(), None)
    countdown = itertools.count()
    with pytest.raises(Cancelled):
        cache.get(KEYS[0], work, cancel)
    assert not list(work.iterdir())
    assert held(cache) == [KEYS[0]]


def test_what_a_killed_process_left_is_invisible_and_goes(cache: StemCache, work: Path) -> None:
    left = cache.folder / ".new-dead"
    left.mkdir(parents=True)
    (left / "drums.f32").write_bytes(b"half")
    young = cache.folder / ".new-alive"
    young.mkdir()
    os.utime(left, (1, 1))
    cache.put(KEYS[0], stems(), None)
    assert not left.exists()
    assert young.exists()
    assert cache.info().entries == 1
    cache.clear()
    assert not young.exists()


def test_eviction_while_an_entry_is_read_does_no_harm(
    cache: StemCache, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.name == "nt":
        pytest.skip("Windows does not delete open files")
    cache.put(KEYS[0], stems(), None)
    monkeypatch.setattr(cache_entry, "_COPY_BYTES", 1000)
    found = cache.get(KEYS[0], work, cancel=lambda: cache.clear() and None)
    assert found is not None
    assert same(found.buffers, stems())
    assert held(cache) == []


def test_info_and_clear_tell_what_is_there(cache: StemCache) -> None:
    assert (cache.info().entries, cache.clear().entries) == (0, 0)
    for key in KEYS[:2]:
        cache.put(key, stems(), None)
    info = cache.info()
    assert (info.entries, info.limit_bytes, info.folder) == (2, cache.limit_bytes, cache.folder)
    assert info.size_bytes >= 2 * ENTRY_BYTES
    assert cache.clear() == info
    assert held(cache) == []


@pytest.mark.parametrize("names", [["../drums"], ["a/b"], [""], ["Drums"]])
def test_stem_names_that_are_no_file_names_are_refused(cache: StemCache, names: list[str]) -> None:
    with pytest.raises(ValueError, match="not stems"):
        cache.put(KEYS[0], {name: stems()["drums"] for name in names}, None)


def test_stems_of_different_shape_are_refused(cache: StemCache) -> None:
    with pytest.raises(ValueError, match="not stems"):
        cache.put(KEYS[0], {"a": AudioBuffer.memory(2, 5, RATE), "b": AudioBuffer.memory(2, 6, RATE)}, None)
    with pytest.raises(ValueError, match="not a key"):
        cache.put("../x", stems(), None)


def test_key_depends_on_everything() -> None:
    base: dict[str, Any] = {
        "source_digest": "s",
        "model_digest": "m",
        "options": SeparationOptions(),
        "seed": 0,
        "residual": "share",
        "engine_version": "1",
    }
    others: dict[str, list[Any]] = {
        "source_digest": ["t"],
        "model_digest": ["n"],
        "options": [
            SeparationOptions(overlap=0.5),
            SeparationOptions(shifts=0),
            SeparationOptions(segment_s=5.0),
        ],
        "seed": [1],
        "residual": ["stem"],
        "engine_version": ["2"],
    }
    keys = {stem_key(**{**base, name: value}) for name, values in others.items() for value in values}
    keys.add(stem_key(**base))
    assert len(keys) == 9
    assert stem_key(**base) == stem_key(**base)
    assert stem_key(**{**base, "source_digest": "sm", "model_digest": ""}) not in keys


def test_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEMFIX_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("STEMFIX_CACHE_GB", raising=False)
    assert default_cache().limit_bytes == 20_000_000_000
    assert default_cache().folder == tmp_path / "stems"
    for text, limit in (("0", 0), ("0.5", 500_000_000), ("", 20_000_000_000)):
        monkeypatch.setenv("STEMFIX_CACHE_GB", text)
        assert default_cache().limit_bytes == limit
    for text in ("-1", "much", "nan", "inf"):
        monkeypatch.setenv("STEMFIX_CACHE_GB", text)
        with pytest.raises(OptionError, match="STEMFIX_CACHE_GB"):
            default_cache()


def test_two_processes_share_a_cache(
    tmp_path: Path, start_python: Callable[..., subprocess.Popen[str]]
) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from engine.audio.buffer import AudioBuffer
from engine.separation.cache import StemCache
cache = StemCache(Path(sys.argv[1]), int(sys.argv[2]))
generator = np.random.default_rng(int(sys.argv[3]))
hits = 0
for turn in range(150):
    number = int(generator.integers(6))
    key = f"{number:064x}"
    found = cache.get(key, Path(sys.argv[4]))
    if found is None:
        stem = AudioBuffer.of(np.full((2, 3000), number, np.float32), 44100)
        cache.put(key, {"vocals": stem, "drums": stem}, None)
    else:
        hits += 1
        assert list(found.buffers) == ["vocals", "drums"]
        for buffer in found.buffers.values():
            assert (buffer.to_array() == number).all()
print(hits)
"""
    folder, limit = tmp_path / "cache", 3 * ENTRY_BYTES + 3000
    processes = [start_python(code, folder, limit, seed, tmp_path / str(seed)) for seed in range(2)]
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert all(int(hits) > 0 for hits in said)
    cache = StemCache(folder, limit)
    assert cache.info().size_bytes <= limit
    assert hidden(cache) == []

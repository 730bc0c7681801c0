"""StemCache: separated stems kept by the content they came from, so that the same work is never done twice.

An entry is a folder with a raw `AudioBuffer` file per stem and `entry.json`, made under a temporary name and
published by one rename. Decisions:

- Samples are copied in and out, never linked: nobody who writes to a buffer later can alter an entry. The
  copy is made while the SHA-256 is computed, so it costs little more than the check alone.
- Every byte is checked on the way out. A damaged entry is a miss and is deleted. That is also why nothing is
  forced to the disk: what a power cut damages is found and made again.
- A reader has all files of an entry open before it copies the first, so that an eviction in the middle does
  not matter (on Windows the eviction fails and comes with a later one).
- Trouble with the cache (no space, no permission) is a miss, never a failed job.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.audio.buffer import AudioBuffer
from engine.errors import OptionError, OutputError
from engine.paths import cache_dir
from engine.separation.cache_entry import ENTRY, CachedStems, Damaged, read_entry, write_entry
from engine.separation.separator import SeparationOptions
from engine.version import ENGINE_VERSION

__all__ = ["CacheInfo", "CachedStems", "StemCache", "default_cache", "stem_key"]

_DEFAULT_GB = 20.0
_ABANDONED_S = 24 * 3600
_STEM_NAME = re.compile(r"[a-z0-9_-]{1,40}")
_KEY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CacheInfo:
    """How full a cache is; a limit of 0 bytes means that it is switched off."""

    folder: Path
    entries: int
    size_bytes: int
    limit_bytes: int


def stem_key(
    source_digest: str,
    model_digest: str,
    options: SeparationOptions,
    seed: int,
    residual: str,
    engine_version: str = ENGINE_VERSION,
) -> str:
    """SHA-256 in hex over everything that the stems depend on.

    Args:
        source_digest: over the samples that are separated (so of the range only), their rate and channels.
        model_digest: `InstalledModel.digest`.
        options: the separation's options.
        seed: of the random shifts.
        residual: what becomes of the residual (`share` or `stem`).
        engine_version: `ENGINE_VERSION`.
    """
    parts = [source_digest, model_digest, options.model_dump(mode="json"), seed, residual, engine_version]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def default_cache() -> StemCache:
    """The user's cache: `stems` in the cache folder, limited to `STEMFIX_CACHE_GB` (20) GB of 10^9 bytes."""
    text = os.environ.get("STEMFIX_CACHE_GB", "").strip() or str(_DEFAULT_GB)
    try:
        limit = int(float(text) * 1e9)
    except (ValueError, OverflowError):
        limit = -1
    if limit < 0:
        raise OptionError(
            f"STEMFIX_CACHE_GB is `{text}`, which is no size.", "Set it to gigabytes; 0 turns it off."
        )
    return StemCache(cache_dir() / "stems", limit)


class StemCache:
    """Entries in `folder`, at most `limit_bytes` together; the least recently used go first.

    Several processes may use one folder. With a limit of 0 every `get` misses and nothing is kept.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes

    def get(self, key: str, into: Path, cancel: Callable[[], None] = lambda: None) -> CachedStems | None:
        """The entry `key`, copied to files `<stem>.f32` in the folder `into`, or None.

        The files are the caller's to keep, change or delete; one of that name is replaced. `cancel` is
        called per block and may raise.
        """
        if self.limit_bytes <= 0:
            return None
        entry = self._entry(key)
        try:
            return read_entry(entry, key, into, cancel)
        except (Damaged, FileNotFoundError):
            if entry.exists():
                self._discard(entry)
        except OSError:
            pass  # such as no space in `into`: the entry itself may be whole
        return None

    def put(
        self,
        key: str,
        buffers: Mapping[str, AudioBuffer],
        residual_db: float | None,
        cancel: Callable[[], None] = lambda: None,
    ) -> bool:
        """Keep a copy of `buffers` as the entry `key`; False if it was not kept (too large, or no space).

        All buffers must have one shape and rate (ValueError). `cancel` is called per block and may raise.
        """
        shapes = {(*buffer.shape, buffer.sample_rate) for buffer in buffers.values()}
        if len(shapes) != 1 or not all(_STEM_NAME.fullmatch(name) for name in buffers):
            raise ValueError(f"not stems of one recording: {list(buffers)} with shapes {sorted(shapes)}")
        ((channels, frames, _),) = shapes
        size = 4 * channels * frames * len(buffers)
        if size > self.limit_bytes or self.limit_bytes <= 0:
            return False
        entry = self._entry(key)
        temporary = self.folder / f".new-{uuid.uuid4().hex}"
        try:
            if not entry.exists():
                temporary.mkdir(parents=True)
                self._evict(reserve_bytes=size)
                write_entry(temporary, key, buffers, residual_db, cancel)
                with contextlib.suppress(OSError):  # another process was first; its samples are the same
                    os.rename(temporary, entry)
                self._evict(reserve_bytes=0)
            return entry.exists()
        except OSError:
            return False
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def info(self) -> CacheInfo:
        """How many entries there are and how much they hold."""
        sizes = [size for _, size, _ in self._entries()]
        return CacheInfo(self.folder, len(sizes), sum(sizes), self.limit_bytes)

    def clear(self) -> CacheInfo:
        """Delete every entry and every unfinished one; returns what was there. Raises OutputError."""
        before = self.info()
        try:
            with self._lock():
                for _, _, entry in self._entries():
                    self._discard(entry)
                for left in self._leftovers():
                    shutil.rmtree(left, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"The stem cache in {self.folder} can't be emptied: {error.strerror or error}.",
                "Check the folder's permissions.",
            ) from error
        return before

    def _entry(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return self.folder / key

    def _evict(self, reserve_bytes: int) -> None:
        """Delete leftovers of killed processes, and old entries until `reserve_bytes` more fit the limit."""
        with self._lock():
            for left in self._leftovers():
                with contextlib.suppress(OSError):
                    if time.time() - left.stat().st_mtime > _ABANDONED_S:
                        shutil.rmtree(left, ignore_errors=True)
            entries = sorted(self._entries())
            total = reserve_bytes + sum(size for _, size, _ in entries)
            for _, size, entry in entries:
                if total <= self.limit_bytes:
                    break
                if self._discard(entry):
                    total -= size

    def _discard(self, entry: Path) -> bool:
        # Renamed first, so that nobody sees an entry that is half deleted.
        trash = self.folder / f".old-{uuid.uuid4().hex}"
        try:
            os.rename(entry, trash)
        except OSError:
            return not entry.exists()
        shutil.rmtree(trash, ignore_errors=True)
        return True

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """(last use in ns, bytes, folder) of every entry."""
        for path in self.folder.glob("*"):
            if _KEY.fullmatch(path.name):
                files = list(_statuses(path))
                used = [status.st_mtime_ns for name, status in files if name == ENTRY]
                yield max(used, default=0), sum(status.st_size for _, status in files), path

    def _leftovers(self) -> list[Path]:
        return [*self.folder.glob(".new-*"), *self.folder.glob(".old-*")]

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        from filelock import FileLock

        if not self.folder.is_dir():
            yield
            return
        with FileLock(self.folder / ".lock"):
            yield


def _statuses(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    with contextlib.suppress(OSError), os.scandir(folder) as items:
        for item in items:
            yield item.name, item.stat()

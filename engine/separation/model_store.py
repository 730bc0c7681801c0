"""The folder of pulled models: what is there, whether it is whole, and putting a model in or taking it out.

A model is one folder, `<model_dir>/<name>`, with its members' files and `manifest.json`. It is published by
one rename, so it is there whole or not at all. `<model_dir>/.incoming` holds unfinished pulls. Nothing here
touches a network.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import ModelError
from engine.files import sha256_of
from engine.paths import model_dir
from engine.separation.fetching import Fetched
from engine.separation.files import sync_file, sync_folder, write_whole
from engine.separation.registry import ModelCard, card

MANIFEST = "manifest.json"
#: Sizes and modification times of files whose SHA-256 was found right; lost without harm.
_STAMPS = ".verified.json"
_INCOMING = ".incoming"


@dataclass(frozen=True)
class MemberFile:
    """One file of a pulled model as it was when it was pulled."""

    name: str
    size_bytes: int
    sha256: str
    #: Where it came from.
    source: str


@dataclass(frozen=True)
class InstalledModel:
    """A pulled model. Its files may have been damaged since: `verify` and loading find out."""

    card: ModelCard
    folder: Path
    files: tuple[MemberFile, ...]
    #: When it was pulled, ISO 8601, UTC.
    pulled_at: str

    @property
    def name(self) -> str:
        """The model's name in the registry."""
        return self.card.name

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 over the members' SHA-256, the bag's weights and its segment: same digest, same model."""
        bag = [[file.sha256 for file in self.files], self.card.bag_weights, self.card.segment_s]
        return hashlib.sha256(json.dumps(bag).encode()).hexdigest()


def installed(name: str) -> InstalledModel | None:
    """The pulled model `name`, or None. Reads the manifest alone. Raises ModelError for an unknown name."""
    model = card(name)
    folder = model_dir() / name
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files = tuple(MemberFile(**entry) for entry in manifest["files"])
        pulled_at = str(manifest["pulled_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if tuple(file.name for file in files) != tuple(
        f"{signature}.safetensors" for signature in model.signatures
    ):
        return None
    return InstalledModel(model, folder, files, pulled_at)


def require_installed(name: str) -> InstalledModel:
    """The pulled model `name`. Raises ModelError if it is not there: nothing is downloaded in passing."""
    found = installed(name)
    if found is None:
        raise ModelError(
            f"The model {name} is not installed.", f"Fetch it once with `stemfix models pull {name}`."
        )
    return found


def verify(name: str) -> list[str]:
    """What is wrong with the pulled model `name`: one clause per problem, none if every byte is as pulled."""
    found = installed(name)
    if found is None:
        state = "its manifest can't be read" if (model_dir() / name).exists() else "it is not installed"
        return [f"{name}: {state}"]
    stamps: dict[str, list[int]] = {}
    problems = []
    for file in found.files:
        path = found.folder / file.name
        problem = _problem(path, file, stamps)
        if problem:
            problems.append(f"{path}: {problem}")
    if not problems:
        _write_stamps(found.folder, stamps)
    return problems


def check_files(found: InstalledModel) -> None:
    """Raise ModelError if a file of `found` is missing or altered.

    A file whose size and modification time are those of its last full check is taken as unaltered;
    otherwise its SHA-256 is computed.
    """
    stamps = _read_stamps(found.folder)
    before = dict(stamps)
    for file in found.files:
        path = found.folder / file.name
        problem = _problem(path, file, stamps)
        if problem:
            raise ModelError(
                f"{path}: {problem}.", f"Fetch it again with `stemfix models pull {found.name} --force`."
            )
    if stamps != before:
        _write_stamps(found.folder, stamps)


def remove(name: str, cancel: Callable[[], None] = lambda: None) -> bool:
    """Delete the pulled model `name` and what an unfinished pull left; False if there was nothing."""
    card(name)
    with model_lock(name, cancel, lambda message: None):
        folder, work = model_dir() / name, _work_path(name)
        there = folder.exists() or work.exists()
        if folder.exists():
            _discard(folder)
        shutil.rmtree(work, ignore_errors=True)
    return there


def publish(model: ModelCard, fetched: dict[str, Fetched], work: Path) -> InstalledModel:
    """Make the fetched files the installed model; an older one is replaced. Call it under the lock."""
    ready = work / "ready"
    shutil.rmtree(ready, ignore_errors=True)
    ready.mkdir()
    files = []
    for signature in model.signatures:
        target = ready / f"{signature}.safetensors"
        os.replace(fetched[signature].path, target)
        sync_file(target)
        files.append(
            MemberFile(target.name, target.stat().st_size, sha256_of(target), fetched[signature].source)
        )
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    manifest = {"name": model.name, "pulled_at": now, "files": [asdict(file) for file in files]}
    write_whole(ready / MANIFEST, json.dumps(manifest, indent=2).encode())
    _write_stamps(ready, {file.name: _stamp(ready / file.name) for file in files})
    folder = model_dir() / model.name
    if folder.exists():
        _discard(folder)
    os.rename(ready, folder)
    sync_folder(folder.parent)
    shutil.rmtree(work, ignore_errors=True)
    return InstalledModel(model, folder, tuple(files), now)


def work_folder(name: str) -> Path:
    """The folder of an unfinished pull of `name`, made if absent. Call it under the lock."""
    folder = _work_path(name)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("npm-*"):
        shutil.rmtree(left, ignore_errors=True)
    return folder


@contextlib.contextmanager
def model_lock(name: str, cancel: Callable[[], None], note: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of the model `name`, shared by all processes; waiting is told to `note`."""
    from filelock import FileLock, Timeout

    folder = model_dir() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        note(f"Another process is working on the model {name}; waiting for it.")
        while not lock.is_locked:
            cancel()
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0.5, poll_interval=0.1)
    try:
        yield
    finally:
        lock.release()


def _work_path(name: str) -> Path:
    return model_dir() / _INCOMING / name


def _discard(folder: Path) -> None:
    # Renamed away first, so that a crash leaves no half model under its name.
    trash = folder.parent / _INCOMING / f"{folder.name}.old"
    shutil.rmtree(trash, ignore_errors=True)
    trash.parent.mkdir(exist_ok=True)
    os.rename(folder, trash)
    shutil.rmtree(trash, ignore_errors=True)


def _problem(path: Path, file: MemberFile, stamps: dict[str, list[int]]) -> str:
    try:
        stamp = _stamp(path)
        if stamp[0] != file.size_bytes:
            return f"it has {stamp[0]} bytes instead of {file.size_bytes}"
        if stamps.get(file.name) != stamp and sha256_of(path) != file.sha256:
            return "its contents changed since it was pulled"
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it can't be read ({error.strerror})"
    stamps[file.name] = stamp
    return ""


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _read_stamps(folder: Path) -> dict[str, list[int]]:
    try:
        stamps = json.loads((folder / _STAMPS).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_stamps(folder: Path, stamps: dict[str, list[int]]) -> None:
    with contextlib.suppress(OSError):  # a read-only model folder is checked in full each time
        write_whole(folder / _STAMPS, json.dumps(stamps).encode())

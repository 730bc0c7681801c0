"""Record: what an installation put where, and what was there before, kept in stemfix's own data folder."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from daw_bridge.transaction import Transaction, content
from engine.paths import data_dir

_FORMAT = 1


class DawFolder(Protocol):
    """A DAW's folder on this computer."""

    @property
    def path(self) -> Path:
        """Where it is."""
        ...

    @property
    def record_name(self) -> str:
        """What the record of it is called."""
        ...


@dataclass(frozen=True)
class Installed:
    """A file: the SHA-256 of what was put there (the last two), and what was there before (None: nothing)."""

    digests: tuple[str, ...]
    before: bytes | None

    def is_unchanged(self, now: bytes | None) -> bool:
        """Whether `now` is what was put there."""
        return now is not None and digest(now) in self.digests

    def followed_by(self, data: bytes) -> tuple[str, ...]:
        """`digests` once `data` is put there."""
        new = digest(data)
        return self.digests if self.digests[:1] == (new,) else (new, *self.digests[:1])


@dataclass
class Record:
    """The files of one configuration folder, by their paths relative to it."""

    folder: DawFolder
    files: dict[str, Installed] = field(default_factory=dict)
    #: Whether the folder of scripts was not there before.
    made_scripts_folder: bool = False

    @property
    def place(self) -> Path:
        """The folder that the record and the backups are kept in."""
        path = os.path.realpath(self.folder.path)
        key = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        return data_dir() / "daw" / f"{self.folder.record_name}-{key}"

    def save(self, transaction: Transaction) -> None:
        """Write it and the backups."""
        files: dict[str, Any] = {}
        for name, installed in sorted(self.files.items()):
            files[name] = {"digests": list(installed.digests), "before": installed.before is not None}
            if installed.before is not None:
                transaction.write(self._backup(name), installed.before)
        record = {
            "format": _FORMAT,
            "folder": str(self.folder.path),
            "made_scripts_folder": self.made_scripts_folder,
            "files": files,
        }
        transaction.write(self.place / "record.json", json.dumps(record, indent=1).encode() + b"\n")

    def forget(self, transaction: Transaction) -> None:
        """Remove the record and the backups that it needed; copies of what the user changed stay."""
        transaction.remove(self.place / "record.json")
        for name, installed in self.files.items():
            if installed.before is not None:
                transaction.remove(self._backup(name))
        transaction.remove_folder_if_empty(self.place / "before")
        transaction.remove_folder_if_empty(self.place)

    def keep_copy(self, transaction: Transaction, name: str, data: bytes) -> Path:
        """Keep what the user changed; where."""
        path = self.place / "changed" / f"{digest(data)[:8]}-{Path(name).name}"
        transaction.write(path, data)
        return path

    def _backup(self, name: str) -> Path:
        return self.place / "before" / name.replace("/", "-")


def load_record(folder: DawFolder) -> Record:
    """The record of a folder; an empty one if there is none, or if it is damaged."""
    record = Record(folder)
    data = content(record.place / "record.json")
    if data is None:
        return record
    try:
        found = json.loads(data)
        if found["format"] != _FORMAT:
            return record
        files = {}
        for name, entry in found["files"].items():
            before = content(record._backup(name)) if entry["before"] else None
            if before is not None or not entry["before"]:
                files[name] = Installed(tuple(entry["digests"]), before)
        return Record(folder, files, bool(found["made_scripts_folder"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return record


def digest(data: bytes) -> str:
    """SHA-256 as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()

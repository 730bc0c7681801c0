"""Which recordings the arguments name: files as they are, folders by the audio files in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.audio.extensions import AUDIO_EXTENSIONS
from engine.errors import InputError

_RESULTS = ".stemfix"


@dataclass(frozen=True)
class Source:
    """A recording, and the folder in which its results are put."""

    path: Path
    out_dir: Path


@dataclass(frozen=True)
class NoSource:
    """An argument that names no recording, and why."""

    path: Path
    error: InputError


def find_sources(inputs: Iterable[Path], out: Path | None, recursive: bool) -> Iterator[Source | NoSource]:
    """Each recording once, in the order of the arguments, sorted within a folder.

    With `out`, what was found below a folder keeps its sub-folder there, so that equal names don't meet.
    """
    seen: set[Path] = set()
    for path in inputs:
        try:
            found = list(_sources_of(path, out, recursive))
        except InputError as error:
            yield NoSource(path, error)
            continue
        for source in found:
            if not _is_text(source.path):
                yield NoSource(source.path, InputError(f"The name {source.path} is not text.", "Rename it."))
                continue
            real = source.path.resolve()
            if real not in seen:
                seen.add(real)
                yield source


def _sources_of(path: Path, out: Path | None, recursive: bool) -> Iterator[Source]:
    if not path.is_dir():
        if not os.path.lexists(path):
            raise InputError(f"There is no file {path}.", "Check its name and place.")
        yield Source(path, path.parent if out is None else out)
        return
    files = _audio_files(path, recursive)
    if not files:
        deeper = "." if recursive else ", or search below it with --recursive."
        raise InputError(f"There is no audio file in the folder {path}.", f"Name another folder{deeper}")
    for file in files:
        yield Source(file, file.parent if out is None else out / file.parent.relative_to(path))


def _is_text(path: Path) -> bool:
    """False for bytes that are no characters, which Linux allows in names and JSON and WAV don't."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _audio_files(folder: Path, recursive: bool) -> list[Path]:
    """Audio files in `folder`, sorted by name; results of earlier jobs and hidden files are passed over."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"The folder {folder} can't be read: {error.strerror}.", "Check it.") from None
    found: list[Path] = []
    for entry in entries:
        if entry.name.startswith(".") or entry.name.endswith(_RESULTS):
            continue
        if entry.suffix.lower() in AUDIO_EXTENSIONS and entry.is_file():
            found.append(entry)
        elif recursive and entry.is_dir() and not entry.is_symlink():
            found += _audio_files(entry, recursive)
    return found

"""UnitFile: the file that describes the service to the system; ours is replaced, a foreign one left alone."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import OutputError
from engine.files import new_file, output_errors

#: By this sentence a file is known to be ours.
MARK = "Written by 'stemfix service install'; 'stemfix service uninstall' removes it."

Change = Literal["new", "same", "replaced"]


@dataclass(frozen=True)
class UnitFile:
    """A file at `path` with the content that it should have."""

    path: Path
    content: bytes

    def read(self) -> bytes | None:
        """What is there now; None for nothing. Raises OutputError for something that is no file."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise OutputError(
                f"{self.path} is not a plain file.", "It was left as it is; move it away first."
            )
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise OutputError(
                f"{self.path} can't be read: {error.strerror}.", "Check its permissions."
            ) from error

    @property
    def is_ours(self) -> bool:
        """True if stemfix wrote what is there. Raises OutputError."""
        found = self.read()
        return found is not None and is_ours(found)

    def write(self) -> tuple[Change, Path | None]:
        """Put the content there whole; what was there and differs is kept under the second path.

        Raises OutputError.
        """
        found = self.read()
        if found == self.content:
            return "same", None
        with output_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with new_file(temporary) as file:
            file.write(self.content)
        try:
            kept = self._keep(found) if found is not None else None
            with output_errors(self.path):
                os.replace(temporary, self.path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        return ("new" if found is None else "replaced"), kept

    def remove(self) -> Path | None:
        """Remove what is there; if it is not as it was written, it is kept under the path that is returned.

        Raises OutputError.
        """
        found = self.read()
        kept = None if found is None or found == self.content else self._keep(found)
        with output_errors(self.path):
            self.path.unlink(missing_ok=True)
        return kept

    def _keep(self, data: bytes) -> Path:
        number = 0
        while True:
            number += 1
            backup = self.path.with_name(f"{self.path.name}.bak-{number}")
            if not os.path.lexists(backup):
                with new_file(backup) as file:
                    file.write(data)
                return backup


def is_ours(data: bytes | str) -> bool:
    """True for a description that stemfix wrote, in whichever encoding."""
    return MARK in data if isinstance(data, str) else any(MARK.encode(code) in data for code in _ENCODINGS)


_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")

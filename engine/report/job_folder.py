"""JobFolder: a finished job's folder, read as far as the comparison page needs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from engine.errors import InputError
from engine.job import Manifest
from engine.publish import MANIFEST, REPORT


@dataclass(frozen=True)
class JobFolder:
    """A result folder with its manifest, and its report as plain values ({} where there is none)."""

    path: Path
    manifest: Manifest
    report: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> JobFolder:
        """The job whose folder or `manifest.json` lies at `path`. Raises InputError."""
        folder = path.parent if path.name == MANIFEST else path
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(
                f"{folder} is no result of a finished job: it holds no {MANIFEST}.",
                "Name a folder that ends in .stemfix.",
            ) from None
        except (OSError, ValidationError, ValueError) as error:
            raise InputError(
                f"{folder / MANIFEST} can't be read ({type(error).__name__}).", "Run the job again."
            ) from error
        return cls(folder.absolute(), manifest, _report(folder / REPORT))

    @property
    def source(self) -> Path:
        """The recording that the job was made from; it may be gone."""
        return Path(self.manifest.source.path)

    @property
    def mix(self) -> Path | None:
        """The enhanced mix."""
        return self.path / self.manifest.mix.file if self.manifest.mix else None

    @property
    def stems(self) -> dict[str, Path]:
        """The delivered stems by name."""
        return {stem.name: self.path / stem.file for stem in self.manifest.stems}


def _report(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}

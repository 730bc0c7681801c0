"""The Lua files that run inside a DAW: where they lie in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

from engine.errors import StemfixError


def script_files(folder_name: str) -> dict[str, bytes]:
    """The Lua files of a top-level folder such as `ardour_scripts`, name -> content, sorted by name.

    Both a checkout and a wheel have that folder beside the package `daw_bridge`. Raises StemfixError.
    """
    folder = Path(__file__).resolve().parent.parent / folder_name
    try:
        files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.lua"))}
    except OSError as error:
        raise StemfixError(
            f"{folder} can't be read: {error.strerror or error}.", "Install stemfix again."
        ) from error
    if not files:
        raise StemfixError(f"There are no scripts in {folder}.", "Install stemfix again.")
    return files

"""The Lua files that run inside a DAW: where they lie in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

from engine.errors import StemfixError


def script_files(folder_name: str) -> dict[str, bytes]:
    """The Lua files of a top-level folder such as `ardour_scripts` and of the folders in it, sorted by name:
    path in that folder, with slashes -> content.

    Both a checkout and a wheel have that folder beside the package `daw_bridge`. Raises StemfixError.
    """
    folder = Path(__file__).resolve().parent.parent / folder_name
    try:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.lua"))
        }
    except OSError as error:
        raise StemfixError(
            f"{folder} can't be read: {error.strerror or error}.", "Install stemfix again."
        ) from error
    if not files:
        raise StemfixError(f"There are no scripts in {folder}.", "Install stemfix again.")
    return files

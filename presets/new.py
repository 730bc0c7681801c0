"""New: a commented copy of a preset among the user's own, to be changed there."""

from __future__ import annotations

import re
from pathlib import Path

from presets.loader import list_presets, preset_text, user_presets_dir
from presets.problem import PresetProblem

#: What a name may be made of, so that it is the same on every file system and needs no quotes.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)


def new_preset(name: str, based_on: str = "balanced") -> Path:
    """Write a copy of the preset `based_on` (a name or a path) as the user's preset `name`; its path.

    Raises:
        PresetProblem: the name can't be used or is taken, there is no such preset, or nothing can be written.
            An existing file is never overwritten.
    """
    name = name.removesuffix(".toml")
    if not _NAME.fullmatch(name):
        raise PresetProblem(
            f"'{name}' can't be the name of a preset.", "Use letters, digits, dots, dashes and underscores."
        )
    for entry in list_presets():
        if entry.name.lower() == name.lower():
            where = "comes with stemfix" if entry.path is None else f"is in {entry.path}"
            raise PresetProblem(
                f"There is a preset '{entry.name}' already: it {where}.", "Take another name."
            )
    text = preset_text(based_on)
    path = user_presets_dir() / f"{name}.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# {name}: made from {based_on}, and yours. What that one says of itself:\n#\n{text}")
    except FileExistsError as error:
        raise PresetProblem(f"{path} exists already.", "Take another name.") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PresetProblem(f"{path} can't be written: {reason}.", "Check the folder.") from error
    return path

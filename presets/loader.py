"""Loader: finds a preset file, checks every key and value in it, and says what is wrong on which line."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import platformdirs
from pydantic import BaseModel, ValidationError

from presets.lines import LineIndex, syntax_problem
from presets.preset import STEMS, Chain, MixSettings, Preset
from presets.problem import PresetProblem, suggestion
from presets.validation import Model, first_complaint, validate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Effects = Mapping[str, type[BaseModel]]

_TOP_KEYS = ("description", "quality", "repair", *STEMS, "mix")
#: A preset is a page of text; anything else that size was named by mistake.
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class PresetEntry:
    """A preset that can be asked for by name."""

    name: str
    description: str
    #: The user's file, or None for a preset that comes with the program.
    path: Path | None


def load_preset(name_or_path: str, effects: Effects, qualities: Collection[str] = ()) -> Preset:
    """The preset called `name_or_path`, or in the file there if it ends in `.toml` or is a path.

    Args:
        name_or_path: a built-in name, a name in the user's presets folder, or a path.
        effects: each effect's model by its name.
        qualities: what `quality` may be; anything if empty.

    Raises:
        PresetProblem: there is no such preset, or something in it is not allowed.
    """
    name, label, text = _read(name_or_path)
    return _Reader(label, text, effects, qualities).preset(name)


def list_presets() -> list[PresetEntry]:
    """The built-in presets and then the user's, each by name; one with a built-in's name is not reachable."""
    entries = [PresetEntry(name, _description(preset_text(name)), None) for name in _built_in()]
    taken = {entry.name for entry in entries}
    for path in _user_files():
        if path.stem not in taken:
            entries.append(PresetEntry(path.stem, _description(_text(path)), path))
    return entries


def preset_text(name_or_path: str) -> str:
    """The preset's file as it is, comments included. Raises PresetProblem if there is none."""
    return _read(name_or_path)[2]


def user_presets_dir() -> Path:
    """Where the user's own presets lie: `presets` in `STEMFIX_CONFIG_DIR` or in the user's config folder."""
    configured = os.environ.get("STEMFIX_CONFIG_DIR", "").strip()
    base = (
        Path(configured).expanduser()
        if configured
        else platformdirs.user_config_path("stemfix", appauthor=False)
    )
    return base / "presets"


def _built_in() -> list[str]:
    """Built-in names from the least to the most that is done, then those for a kind of sound."""
    folder = resources.files("presets")
    names = sorted(entry.name[: -len(".toml")] for entry in folder.iterdir() if entry.name.endswith(".toml"))
    order = ("none", "fast", "balanced", "maximum", "restore", "gentle-master")
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _user_files() -> list[Path]:
    try:
        return sorted(user_presets_dir().glob("*.toml"))
    except OSError:
        return []


def _read(name_or_path: str) -> tuple[str, str, str]:
    """(name, label for messages, text) of a preset."""
    is_path = name_or_path.endswith(".toml") or "/" in name_or_path or os.sep in name_or_path
    if is_path:
        path = Path(name_or_path).expanduser()
        return path.stem, str(path), _text(path)
    if name_or_path in _built_in():
        file = resources.files("presets") / f"{name_or_path}.toml"
        return name_or_path, file.name, file.read_text(encoding="utf-8")
    for path in _user_files():
        if path.stem == name_or_path:
            return path.stem, str(path), _text(path)
    names = [entry.name for entry in list_presets()]
    raise PresetProblem(f"There is no preset '{name_or_path}'.", suggestion(name_or_path, names))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise PresetProblem(f"{path} is too large for a preset.", "Name a preset file.")
        return raw.decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PresetProblem(f"The preset {path} can't be read: {reason}.", "Check the path.") from error
    except UnicodeDecodeError as error:
        raise PresetProblem(f"{path} is not a text file in UTF-8.", "Name a preset file.") from error


def _description(text: str) -> str:
    try:
        found = tomllib.loads(text).get("description", "")
    except tomllib.TOMLDecodeError:
        return ""
    return found if isinstance(found, str) else ""


class _Reader:
    """Checks one file; every message names the file and the line."""

    def __init__(self, label: str, text: str, effects: Effects, qualities: Collection[str]) -> None:
        self._label = label
        self._effects = effects
        self._qualities = qualities
        try:
            self._data: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line, reason = syntax_problem(error, text)
            what = f"{label}, line {line}: not valid TOML: {reason}."
            raise PresetProblem(what, "Text stands in quotes, tables in brackets.") from error
        self._lines = LineIndex(text)

    def preset(self, name: str) -> Preset:
        """The checked preset."""
        data = self._data
        for key in data:
            if key not in _TOP_KEYS:
                self._fail((key,), f"unknown key '{key}'", suggestion(key, _TOP_KEYS))
        for key in ("description", "quality"):
            if not isinstance(data.get(key, ""), str):
                self._fail((key,), f"'{key}' must be text", "Put it in quotes.")
        quality = data.get("quality", "standard")
        if self._qualities and quality not in self._qualities:
            self._fail(("quality",), f"unknown quality '{quality}'", suggestion(quality, self._qualities))
        return Preset(
            name=name,
            description=data.get("description", ""),
            quality=quality,
            repair=self._chain(("repair",), data.get("repair", [])),
            chains={stem: self._chain((stem,), data[stem]) for stem in STEMS if stem in data},
            mix=self._mix(data.get("mix", {})),
        )

    def _mix(self, data: Any) -> MixSettings:
        if not isinstance(data, dict):
            self._fail(("mix",), "'mix' must be a table", "Begin it with [mix].")
        chain = self._chain(("mix", "chain"), data.get("chain", []))
        plain = {key: value for key, value in data.items() if key != "chain"}
        checked = self._validated(MixSettings, ("mix",), plain, "[mix]", ("chain",))
        return checked.model_copy(update={"chain": chain})

    def _chain(self, path: tuple[str, ...], data: Any) -> Chain:
        header = f"[[{'.'.join(path)}]]"
        if not isinstance(data, list) or not all(isinstance(step, dict) for step in data):
            what = f"'{'.'.join(path)}' must be a list of effects"
            self._fail(path, what, f"Begin each effect with {header} in double brackets.")
        return tuple(self._step((*path, number), step, header) for number, step in enumerate(data))

    def _step(self, path: tuple[str | int, ...], data: dict[str, Any], header: str) -> BaseModel:
        if "effect" not in data:
            self._fail(
                path, f"{header} names no effect", f'Add effect = "...". {suggestion("", self._effects)}'
            )
        name = data["effect"]
        if not isinstance(name, str) or name not in self._effects:
            self._fail((*path, "effect"), f"unknown effect '{name}'", suggestion(name, self._effects))
        plain = {key: value for key, value in data.items() if key != "effect"}
        return self._validated(self._effects[name], path, plain, f"{header} {name}", ("effect",))

    def _validated(
        self,
        model: type[Model],
        path: tuple[str | int, ...],
        data: dict[str, Any],
        where: str,
        more_keys: tuple[str, ...],
    ) -> Model:
        checked = validate(model, data)
        if isinstance(checked, ValidationError):
            complaint = first_complaint(model, checked, more_keys)
            self._fail((*path, *complaint.path), f"{where}: {complaint.what}", complaint.remedy)
        return checked

    def _fail(self, path: tuple[str | int, ...], what: str, remedy: str) -> NoReturn:
        raise PresetProblem(f"{self._label}, line {self._lines.line(path)}: {what}.", remedy)

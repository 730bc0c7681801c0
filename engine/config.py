"""Config: the user's `config.toml`, checked to the last key; every complaint names the file and the line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.errors import OptionError
from engine.job import Device
from engine.paths import config_dir
from presets.lines import LineIndex, syntax_problem
from presets.problem import suggestion
from presets.validation import first_complaint, validate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Model = TypeVar("Model", bound=BaseModel)

#: The keys of the whole file: tables, and lists of tables.
_TABLES = ("engine", "osc", "reaper")
_LISTS = ("watch",)
_QUEUE_URL = re.compile(r"sqlite:///.+|postgres(ql)?(\+\w+)?://.+")
#: A configuration is a page of text; anything else of that size is a mistake.
_MAX_BYTES = 1 << 20


class EngineConfig(BaseModel):
    """The table `[engine]`; None leaves it to the program."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Minutes without a job after which the model's memory is given back; 0 keeps it for ever.
    idle_minutes: float = Field(10.0, ge=0, le=100_000)
    #: Jobs that may be in their chains while another one is separated; None for half the cores.
    cpu_workers: int | None = Field(None, ge=1, le=64)
    #: What to compute on where a job does not say.
    device: Device = "auto"
    #: The queue's database; None for a file in the data folder.
    queue_url: str | None = None


class OscConfig(BaseModel):
    """The table `[osc]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether `stemfix up` takes jobs over OSC.
    enabled: bool = False
    #: Where it listens, on 127.0.0.1.
    port: int = Field(3821, ge=1, le=65_535)
    #: Where REAPER listens for OSC, if a message without a file is to run the action there; None for Ardour.
    reaper_port: int | None = Field(None, ge=1, le=65_535)


class ReaperConfig(BaseModel):
    """The table `[reaper]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Whether `stemfix up` puts the stems of renders in watched folders back into the open project: never,
    #: for those below the project's folder, or for any.
    import_renders: Literal["off", "project", "any"] = "off"
    #: Of stemfix's server in REAPER.
    port: int = Field(2306, ge=1, le=65_535)


@dataclass(frozen=True)
class Config:
    """What `config.toml` says, or the defaults where it says nothing."""

    path: Path
    #: False if there is no file.
    exists: bool = False
    engine: EngineConfig = field(default_factory=EngineConfig)
    osc: OscConfig = field(default_factory=OscConfig)
    reaper: ReaperConfig = field(default_factory=ReaperConfig)
    _tables: Mapping[str, Any] = field(default_factory=dict)
    _lines: LineIndex = field(default_factory=lambda: LineIndex(""))

    def count(self, name: str) -> int:
        """How many tables `[[name]]` there are."""
        return len(self._tables.get(name, ()))

    def tables(self, name: str, model: type[Model]) -> tuple[Model, ...]:
        """The tables `[[name]]`, each as a `model`, in the order of the file.

        Raises OptionError with file, line, and what is allowed there.
        """
        return tuple(
            _checked(self.path, self._lines, (name, number), f"[[{name}]]", data, model)
            for number, data in enumerate(self._tables.get(name, ()))
        )


def config_path() -> Path:
    """Where the configuration is looked for: `config.toml` in `STEMFIX_CONFIG_DIR` or the user's folder."""
    return config_dir() / "config.toml"


def load_config(path: Path | None = None) -> Config:
    """The configuration in `path` or in the user's folder; defaults if there is no file.

    Raises OptionError for anything in the file that is not allowed.
    """
    path = path or config_path()
    text = _text(path)
    if text is None:
        return Config(path)
    lines = LineIndex(text)
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, reason = syntax_problem(error, text)
        remedy = "Text stands in quotes, tables in brackets."
        if "\\" in (text.splitlines() or [""])[line - 1]:
            remedy = "Put a path with backslashes in single quotes."
        raise OptionError(f"{path}, line {line}: not valid TOML: {reason}.", remedy) from error
    for key, value in data.items():
        if key not in (*_TABLES, *_LISTS):
            _fail(path, lines, (key,), f"unknown key '{key}'", suggestion(key, (*_TABLES, *_LISTS)))
        if key in _TABLES and not isinstance(value, dict):
            _fail(path, lines, (key,), f"'{key}' must be a table", f"Begin it with [{key}].")
        if key in _LISTS and not (
            isinstance(value, list) and all(isinstance(element, dict) for element in value)
        ):
            remedy = f"Begin each with [[{key}]] in double brackets."
            _fail(path, lines, (key,), f"'{key}' must be a list of tables", remedy)
    engine = _checked(path, lines, ("engine",), "[engine]", data.get("engine", {}), EngineConfig)
    if engine.queue_url is not None and not _QUEUE_URL.fullmatch(engine.queue_url):
        _fail(
            path,
            lines,
            ("engine", "queue_url"),
            "[engine]: queue_url is no database that the queue can use",
            'Allowed: "sqlite:///PATH" or "postgresql://USER@HOST/DATABASE".',
        )
    osc = _checked(path, lines, ("osc",), "[osc]", data.get("osc", {}), OscConfig)
    reaper = _checked(path, lines, ("reaper",), "[reaper]", data.get("reaper", {}), ReaperConfig)
    return Config(path, True, engine, osc, reaper, {key: data[key] for key in _LISTS if key in data}, lines)


def default_text() -> str:
    """The commented file that is the manual of every key; it sets nothing."""
    return (resources.files("engine") / "config.default.toml").read_text(encoding="utf-8")


def write_default(path: Path | None = None) -> bool:
    """Write the default file where there is none; False if there is one, which stays as it is.

    Raises OutputError.
    """
    from engine.files import new_file, output_errors, publish_file

    path = path or config_path()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with new_file(temporary) as file:
        if os.name != "nt":
            os.fchmod(file.fileno(), 0o600)  # a database's URL may hold a password
        file.write(default_text().encode())
    try:
        publish_file(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _text(path: Path) -> str | None:
    """What is in the file; None if there is none."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise OptionError(f"{path} is too large for a configuration.", "Move it away.")
        return raw.decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OptionError(
            f"The configuration {path} can't be read: {reason}.", "Check its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{path} is not a text file in UTF-8.", "Save it as UTF-8.") from error


def _checked(
    path: Path, lines: LineIndex, at: tuple[str | int, ...], where: str, data: Any, model: type[Model]
) -> Model:
    checked = validate(model, data)
    if isinstance(checked, ValidationError):
        complaint = first_complaint(model, checked, ())
        _fail(path, lines, (*at, *complaint.path), f"{where}: {complaint.what}", complaint.remedy)
    return checked


def _fail(path: Path, lines: LineIndex, at: tuple[str | int, ...], what: str, remedy: str) -> NoReturn:
    raise OptionError(f"{path}, line {lines.line(at)}: {what}.", remedy)

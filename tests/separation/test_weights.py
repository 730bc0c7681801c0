from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import Cancelled, ModelError
from engine.separation import checkpoint, hub, npm_weights, registry, weights

Start = Callable[..., "subprocess.Popen[str]"]

#: Makes the fixture's model known to another process; its arguments are the members and the folder.
CHILD = """
import json, os, signal, sys, time
from pathlib import Path
from engine.separation import model_store, registry, weights
registry.MODELS["tiny"] = registry.ModelCard("tiny", "", ("drums", "bass", "other", "vocals"),
    tuple(map(tuple, json.loads(sys.argv[1]))), hub_repo="someone/tiny")
source = Path(sys.argv[2])
"""


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that nobody answers for, and an empty Hugging Face cache."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    template = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def flip_byte(path: Path, offset: int = -100) -> None:
    with open(path, "r+b") as file:
        file.seek(offset, os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def test_pull_installs_the_folder_whole_and_loads_it(tiny: Any) -> None:
    assert weights.installed("tiny") is None
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    assert weights.installed("tiny") == found
    assert weights.verify("tiny") == []
    networks, rows = weights.load_models(found)
    assert rows == [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]
    assert [network.training for network in networks] == [False, False]
    assert [network.segment for network in networks] == [3.0, 3.0]
    assert not any((tiny.model_dir / ".incoming").iterdir())


def test_digest_depends_on_the_weights_and_not_on_their_source(tiny: Any) -> None:
    first = weights.pull("tiny", from_dir=tiny.safetensors)
    second = weights.pull("tiny", from_dir=tiny.pickles, force=True)
    assert first.files[0].source.endswith(".safetensors")
    assert second.files[0].source.endswith(".th")
    assert first.digest == second.digest
    other = type(first)(tiny.card, first.folder, first.files[::-1], first.pulled_at)
    assert other.digest != first.digest


def test_pulling_again_fetches_nothing(tiny: Any) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    assert weights.pull("tiny", from_dir=tiny.model_dir / "nowhere") == found


def test_failed_forced_pull_leaves_the_installed_model(tiny: Any, tmp_path: Path) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    with pytest.raises(ModelError, match="does not exist"):
        weights.pull("tiny", from_dir=tmp_path / "nowhere", force=True)
    assert weights.installed("tiny") == found
    assert weights.verify("tiny") == []


def test_model_in_a_read_only_folder_is_found(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("engine.separation.files.os.replace", refuse)
    monkeypatch.setattr(weights, "model_lock", refuse)
    os.utime(tiny.file, (1, 1))
    assert weights.pull("tiny") == found
    weights.load_models(found)


def test_after_a_pull_no_network_is_touched(tiny: Any, no_network: None) -> None:
    weights.pull("tiny", from_dir=tiny.safetensors)
    weights.load_models(weights.pull("tiny"))
    weights.load_models(weights.require_installed("tiny"))


def test_saved_network_gives_the_same_output(tiny: Any) -> None:
    import torch

    (signature, prefix), _ = tiny.card.members
    original = checkpoint.network_from_pickle(tiny.pickles / f"{signature}-{prefix}.th", tiny.card).eval()
    copy = checkpoint.load_network(tiny.safetensors / f"{signature}.safetensors", tiny.card)
    mix = torch.randn(1, 2, 4096, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(original(mix), copy(mix))


@pytest.mark.parametrize("offset", [-100, -1])
def test_flipped_byte_is_noticed(tiny: Any, offset: int) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    flip_byte(tiny.file, offset)
    assert [problem.split(":")[0] for problem in weights.verify("tiny")] == [str(tiny.file)]
    with pytest.raises(ModelError, match=r"models pull tiny --force") as caught:
        weights.load_models(found)
    assert str(tiny.file) in str(caught.value)


def test_flipped_byte_with_the_old_time_is_found_by_verify(tiny: Any) -> None:
    weights.pull("tiny", from_dir=tiny.safetensors)
    before = tiny.file.stat()
    flip_byte(tiny.file)
    os.utime(tiny.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "contents changed" in weights.verify("tiny")[0]


def test_new_time_alone_is_no_damage(tiny: Any) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    os.utime(tiny.file, (1, 1))
    weights.load_models(found)
    assert weights.verify("tiny") == []


@pytest.mark.parametrize("size", [0, 5, 300, -1])
def test_truncated_file_is_noticed_and_the_next_pull_mends_it(tiny: Any, size: int) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    os.truncate(tiny.file, size if size >= 0 else tiny.file.stat().st_size - 1)
    with pytest.raises(ModelError, match=r"bytes instead of .* models pull tiny --force"):
        weights.load_models(found)
    notes: list[str] = []
    weights.load_models(weights.pull("tiny", from_dir=tiny.safetensors, note=notes.append))
    assert "bytes instead of" in notes[0]


def test_missing_file_and_broken_manifest_are_noticed(tiny: Any) -> None:
    found = weights.pull("tiny", from_dir=tiny.safetensors)
    tiny.file.unlink()
    with pytest.raises(ModelError, match="it is missing"):
        weights.load_models(found)
    (tiny.model_dir / "tiny" / "manifest.json").write_text("{")
    assert weights.installed("tiny") is None
    assert "manifest" in weights.verify("tiny")[0]
    weights.load_models(weights.pull("tiny", from_dir=tiny.safetensors))


@pytest.mark.parametrize("size", [0, 7, 8, 200, -1])
def test_damaged_source_is_never_installed(tiny: Any, tmp_path: Path, size: int) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(tiny.safetensors, folder)
    victim = folder / tiny.file.name
    os.truncate(victim, size if size >= 0 else victim.stat().st_size - 1)
    with pytest.raises(ModelError, match="can't be had"):
        weights.pull("tiny", from_dir=folder)
    assert weights.installed("tiny") is None


def test_wrong_keys_are_refused(tiny: Any, tmp_path: Path) -> None:
    path = tmp_path / tiny.file.name
    metadata = {
        "klass": "demucs.demucs.Demucs",
        "args": "[]",
        "kwargs": json.dumps({"sources": list(tiny.card.sources), "channels": 4, "depth": 2}),
    }
    checkpoint.write_safetensors(path, {"nonsense": np.zeros(3, np.float32)}, metadata)
    with pytest.raises(ModelError, match=r"can't be used .* pull tiny --force"):
        checkpoint.load_network(path, tiny.card)


def test_model_with_other_stems_is_refused(tiny: Any, tmp_path: Path) -> None:
    from demucs.demucs import Demucs

    checkpoint.save_network(Demucs(sources=["hum", "hiss"], channels=4, depth=2), tmp_path / "x.safetensors")
    with pytest.raises(ModelError, match="it separates hum, hiss"):
        checkpoint.load_network(tmp_path / "x.safetensors", tiny.card)


@pytest.mark.parametrize("structure", [None, {"_dict": [["x", {"_class": "os.system"}]]}])
def test_checkpoint_that_names_foreign_code_is_not_run(tiny: Any, tmp_path: Path, structure: Any) -> None:
    path, trace = tmp_path / "evil.safetensors", tmp_path / "trace"
    metadata = {"klass": "os.system", "args": json.dumps([f"touch {trace}"]), "kwargs": "{}"}
    if structure is not None:
        metadata = {
            "klass": "demucs.demucs.Demucs",
            "args": "[]",
            "kwargs": "{}",
            "structure": json.dumps(structure),
        }
    checkpoint.write_safetensors(path, {"x": np.zeros(1, np.float32)}, metadata)
    with pytest.raises(ModelError, match=r"os\.system"):
        checkpoint.load_network(path, tiny.card)
    assert not trace.exists()


def test_pickle_with_another_hash_is_not_opened(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pickles"
    shutil.copytree(tiny.pickles, folder)
    for path in folder.iterdir():
        flip_byte(path)

    def opened(*args: Any) -> Any:
        raise AssertionError("the pickle was opened")

    monkeypatch.setattr("demucs.states.load_model", opened)
    with pytest.raises(ModelError, match="was not opened"):
        weights.pull("tiny", from_dir=folder)
    for path in folder.iterdir():
        path.rename(folder / f"{path.name.split('-')[0]}.th")
    with pytest.raises(ModelError, match="not the official file"):
        weights.pull("tiny", from_dir=folder)


def test_failure_names_every_source_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, no_hub: None
) -> None:
    monkeypatch.setenv("STEMFIX_MODEL_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("PATH", "")
    notes: list[str] = []
    with pytest.raises(ModelError) as caught:
        weights.pull("htdemucs", note=notes.append)
    text = str(caught.value)
    assert "The Hugging Face hub: it can't be reached" in text
    assert "npm: the npm client is not installed" in text
    assert "stemfix models pull htdemucs --from FOLDER" in text
    assert "955717e8.safetensors" in text
    assert len(notes) == 1
    with pytest.raises(ModelError, match="does not hold"):
        weights.pull("htdemucs", from_dir=tmp_path)
    assert weights.installed("htdemucs") is None


def test_offline_mode_is_obeyed(tiny: Any, monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="off-line mode"):
        weights.pull("tiny")


def test_hanging_name_lookup_is_given_up(tiny: Any, monkeypatch: pytest.MonkeyPatch, no_hub: None) -> None:
    import threading

    release = threading.Event()
    monkeypatch.setattr(hub, "ANSWER_S", 0.2)
    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", lambda *args, **kwargs: release.wait(60))
    with pytest.raises(ModelError, match="did not answer"):
        weights.pull("tiny")
    release.set()


def test_quantised_model_without_diffq_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"stemfix\[quantised\]"):
        weights.pull("mdx_q")


def test_absent_model_says_how_to_get_it(tiny: Any) -> None:
    with pytest.raises(ModelError, match="stemfix models pull tiny"):
        weights.require_installed("tiny")
    assert weights.verify("tiny") == ["tiny: it is not installed"]


def test_remove_deletes_the_model(tiny: Any) -> None:
    weights.pull("tiny", from_dir=tiny.safetensors)
    assert weights.remove("tiny")
    assert weights.installed("tiny") is None
    assert not weights.remove("tiny")


def test_licence_is_shown_once_per_model(tiny: Any) -> None:
    text = weights.licence_notice("tiny")
    assert text is not None
    assert "scientific purposes" in text
    assert weights.licence_notice("tiny") == text, "asking is not showing"
    weights.licence_was_shown("tiny")
    assert weights.licence_notice("tiny") is None
    assert weights.licence_notice("htdemucs") is not None


def test_unwritable_model_folder_is_a_model_error(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tiny.model_dir.parent / "file"
    blocker.write_text("")
    monkeypatch.setenv("STEMFIX_MODEL_DIR", str(blocker / "models"))
    with pytest.raises(ModelError, match="STEMFIX_MODEL_DIR"):
        weights.pull("tiny", from_dir=tiny.safetensors)
    weights.licence_was_shown("tiny")
    assert weights.licence_notice("tiny") is not None


def test_cancel_stops_a_pull_and_leaves_no_model(tiny: Any) -> None:
    def cancel() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        weights.pull("tiny", from_dir=tiny.safetensors, cancel=cancel)
    assert weights.installed("tiny") is None


def test_two_processes_fetch_once(tiny: Any, tmp_path: Path, start_python: Start) -> None:
    code = (
        CHILD
        + """
fetch = weights.fetch_from_folder
def slow(*args):
    with open(sys.argv[3], "a") as log:
        log.write("fetched\\n")
    time.sleep(1)
    return fetch(*args)
weights.fetch_from_folder = slow
print(weights.pull("tiny", from_dir=source).digest)
"""
    )
    arguments = (json.dumps(tiny.card.members), tiny.safetensors, tmp_path / "log")
    processes = [start_python(code, *arguments) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert said[0] == said[1]
    assert (tmp_path / "log").read_text() == "fetched\n"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["copying", "manifest", "rename"])
def test_killed_pull_leaves_nothing_and_the_next_one_finishes(
    tiny: Any, start_python: Start, moment: str
) -> None:
    code = (
        CHILD
        + """
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[3] == "manifest":
    model_store.write_whole = die
if sys.argv[3] == "rename":
    model_store.os.rename = die
weights.pull("tiny", from_dir=source, progress=die if sys.argv[3] == "copying" else lambda done, total: None)
"""
    )
    process = start_python(code, json.dumps(tiny.card.members), tiny.safetensors, moment)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, said
    assert weights.installed("tiny") is None
    assert not (tiny.model_dir / "tiny").exists()
    weights.load_models(weights.pull("tiny", from_dir=tiny.safetensors))
    assert not any((tiny.model_dir / ".incoming").iterdir())


@pytest.fixture
def npm_package(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_hub: None) -> Path:
    """A folder with a stand-in for the npm client that packs a stand-in for the package; counts its calls."""
    import hashlib
    import tarfile

    folder = tmp_path / "npm"
    (folder / "package").mkdir(parents=True)
    onnx = folder / "package" / "htdemucs.onnx"
    onnx.write_bytes(b"onnx" * 1000)
    tarball = folder / "demucs-1.0.0.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        archive.add(onnx, "package/htdemucs.onnx")
    client = folder / "npm"
    client.write_text(
        f'#!/bin/sh\necho "$@" >> "{folder}/calls"\n'
        f'[ -e "{folder}/fail" ] && {{ echo "npm error network is down"; exit 1; }}\n'
        f'/bin/cp "{tarball}" .\n'
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    for name, path in (("TARBALL", tarball), ("ONNX", onnx)):
        monkeypatch.setattr(npm_weights, f"{name}_BYTES", path.stat().st_size)
        monkeypatch.setattr(npm_weights, f"{name}_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    member = tiny.safetensors / tiny.file.name

    def convert(source: Path, into: Path, cancel: Any) -> None:
        shutil.copy(member, into)

    monkeypatch.setattr(npm_weights, "convert_onnx", convert)
    (signature, prefix), _ = tiny.card.members
    single = registry.ModelCard(
        "htdemucs", "", tiny.card.sources, ((signature, prefix),), hub_repo="someone/x"
    )
    monkeypatch.setitem(registry.MODELS, "htdemucs", single)
    return folder


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_npm_is_the_second_source_and_is_resumed(npm_package: Path, tiny: Any) -> None:
    class Stop(Exception):
        pass

    def stop(message: str) -> None:
        if message.startswith("Converting"):
            raise Stop

    with pytest.raises(Stop):
        weights.pull("htdemucs", note=stop)
    assert weights.installed("htdemucs") is None
    found = weights.pull("htdemucs")
    weights.load_models(found)
    assert found.files[0].source == "npm demucs@1.0.0"
    calls = (npm_package / "calls").read_text().splitlines()
    assert len(calls) == 1
    assert calls[0].startswith("pack demucs@1.0.0")
    assert "://" not in calls[0]


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_failing_npm_and_a_wrong_tarball_are_told(npm_package: Path) -> None:
    (npm_package / "fail").touch()
    with pytest.raises(ModelError, match="network is down"):
        weights.pull("htdemucs")
    (npm_package / "fail").unlink()
    flip_byte(npm_package / "demucs-1.0.0.tgz")
    with pytest.raises(ModelError, match="not the known one"):
        weights.pull("htdemucs")
    with pytest.raises(ModelError, match="damaged or is not the tarball"):
        weights.pull("htdemucs", from_dir=npm_package)
    assert weights.installed("htdemucs") is None


@pytest.mark.parametrize("place", ["demucs-1.0.0.tgz", "package/htdemucs.onnx", "package", "."])
def test_npm_files_are_taken_from_a_folder_or_named_alone(
    npm_package: Path, no_network: None, place: str
) -> None:
    weights.load_models(weights.pull("htdemucs", from_dir=npm_package / place))
    assert not (npm_package / "calls").exists()


@pytest.mark.weights
def test_real_model_is_whole_and_loads(htdemucs_installed: weights.InstalledModel) -> None:
    assert weights.verify("htdemucs") == []
    networks, rows = weights.load_models(htdemucs_installed)
    assert rows == [[1.0] * 4]
    assert tuple(networks[0].sources) == htdemucs_installed.card.sources
    assert float(networks[0].segment) == 7.8

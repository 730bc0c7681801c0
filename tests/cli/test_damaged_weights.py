"""Weights that were damaged after the pull are refused by name before a sample is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

REMEDY = "Fetch it again with `stemfix models pull htdemucs --force`."


@pytest.fixture
def checkpoint(private_folders: Path) -> Path:
    """The file of an installed htdemucs, as far as the store can tell."""
    folder = private_folders / "model" / "htdemucs"
    folder.mkdir(parents=True)
    file = folder / "955717e8.safetensors"
    file.write_bytes(bytes(range(256)) * 100)
    entry = {
        "name": file.name,
        "size_bytes": 25_600,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "source": "test",
    }
    manifest = {"name": "htdemucs", "pulled_at": "2026-01-01T00:00:00+00:00", "files": [entry]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return file


def flip_one_byte(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[12_345] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (flip_one_byte, "its contents changed since it was pulled"),
        (lambda file: file.write_bytes(file.read_bytes()[:20_000]), "it has 20000 bytes instead of 25600"),
        (lambda file: file.unlink(), "it is missing"),
    ],
    ids=["one byte", "cut off", "gone"],
)
@pytest.mark.parametrize("command", ["enhance", "separate"])
def test_a_damaged_checkpoint_is_named_with_the_remedy(
    stemfix,
    make_song: Callable[..., Path],
    checkpoint: Path,
    damage: Callable[[Path], object],
    what: str,
    command: str,
) -> None:
    song = make_song()
    before = song.read_bytes()
    damage(checkpoint)
    outcome = stemfix(command, song)
    assert outcome.status == 2
    assert outcome.error_lines == [f"stemfix: {checkpoint}: {what}. {REMEDY}"]
    assert list(song.parent.iterdir()) == [song]
    assert song.read_bytes() == before


def test_verify_finds_the_same(stemfix, checkpoint: Path) -> None:
    assert stemfix("models", "verify", "htdemucs").status == 0
    flip_one_byte(checkpoint)
    outcome = stemfix("models", "verify", "htdemucs")
    assert outcome.status == 2
    assert f"{checkpoint}: its contents changed" in outcome.err


def test_a_file_that_never_was_a_checkpoint_is_named(
    stemfix, make_song: Callable[..., Path], checkpoint: Path
) -> None:
    song = make_song()
    outcome = stemfix("separate", song)
    assert outcome.status == 2
    (line,) = outcome.error_lines
    assert str(checkpoint) in line
    assert "stemfix models pull htdemucs --force" in line
    assert list(song.parent.iterdir()) == [song]


def test_a_manifest_that_cannot_be_read_is_as_good_as_no_model(
    stemfix, make_song: Callable[..., Path], checkpoint: Path
) -> None:
    song = make_song()
    (checkpoint.parent / "manifest.json").write_text("{")
    outcome = stemfix("separate", song)
    assert outcome.status == 2
    assert "stemfix models pull htdemucs" in outcome.error_lines[0]
    assert list(song.parent.iterdir()) == [song]

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine.errors import ModelError
from engine.separation import weights
from engine.separation.registry import MODELS


@pytest.fixture
def one_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """htdemucs is installed, and nothing else."""
    found = SimpleNamespace(size_bytes=84_024_904, digest="ab" * 32, folder=tmp_path / "htdemucs")
    monkeypatch.setattr(weights, "installed", lambda name: found if name == "htdemucs" else None)
    return found


def test_list_shows_every_model_within_80_columns(stemfix, one_model: Any) -> None:
    outcome = stemfix("models", "list")
    assert outcome.status == 0
    assert all(name in outcome.out for name in MODELS)
    lines = {line.split()[0]: line for line in outcome.out.splitlines() if line and line[0] != " "}
    assert "  yes  " in lines["htdemucs"]
    assert "84.0 MB" in lines["htdemucs"]
    assert "about 336 MB" in lines["htdemucs_ft"]
    assert "size unknown" in lines["mdx_q"]
    assert all(line == line.rstrip() for line in outcome.out.splitlines())
    assert max(len(line) for line in outcome.out.splitlines()) <= 85


def test_list_as_json(stemfix, one_model: Any) -> None:
    (models,) = stemfix("models", "list", "--json").objects
    assert [model["name"] for model in models] == list(MODELS)
    (installed,) = [model for model in models if model["installed"]]
    assert installed == {
        "name": "htdemucs",
        "description": MODELS["htdemucs"].description,
        "stems": ["drums", "bass", "other", "vocals"],
        "licence": MODELS["htdemucs"].licence_summary,
        "needs_diffq": False,
        "download_bytes": 84_024_904,
        "installed": True,
        "bytes": 84_024_904,
        "digest": "ab" * 32,
        "folder": str(one_model.folder),
    }


def test_licence_shows_the_whole_statement(stemfix) -> None:
    assert stemfix("models", "licence", "htdemucs").out.strip() == MODELS["htdemucs"].licence.strip()


def test_pull_shows_the_licence_and_where_it_went(
    stemfix, one_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def pull(name: str, **options: Any) -> Any:
        asked.update(options, name=name)
        options["note"]("Downloading.")
        options["progress"](1, 2)
        return one_model

    monkeypatch.setattr(weights, "pull", pull)
    outcome = stemfix("models", "pull", "htdemucs", "--from", "here", "--force")
    assert outcome.status == 0
    assert (asked["name"], asked["from_dir"], asked["force"]) == ("htdemucs", Path("here"), True)
    assert "Licence of the model" in outcome.err
    assert "Downloading." in outcome.err
    assert str(one_model.folder) in outcome.out


def test_pull_from_a_folder_without_the_weights_names_it(stemfix, tmp_path: Path) -> None:
    outcome = stemfix("models", "pull", "htdemucs", "--from", tmp_path)
    assert outcome.status == 2
    assert str(tmp_path) in outcome.err


def test_verify_tells_each_problem_and_fails(
    stemfix, one_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "verify", lambda name: [f"{name}/a.safetensors: it is missing"])
    outcome = stemfix("models", "verify")
    assert outcome.status == 2
    assert "it is missing" in outcome.err
    assert "stemfix models pull htdemucs --force" in outcome.err
    monkeypatch.setattr(weights, "verify", lambda name: [])
    outcome = stemfix("models", "verify", "htdemucs")
    assert (outcome.status, outcome.out) == (0, "htdemucs is whole.\n")


def test_verify_without_any_model_tells_how_to_get_one(stemfix) -> None:
    outcome = stemfix("models", "verify")
    assert outcome.status == 0
    assert "stemfix models pull htdemucs" in outcome.out


def test_remove(stemfix, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stemfix("models", "remove", "htdemucs").status == 2
    monkeypatch.setattr(weights, "remove", lambda name: True)
    assert stemfix("models", "remove", "htdemucs").out == "htdemucs was removed.\n"


@pytest.mark.parametrize("action", ["pull", "verify", "remove", "licence"])
def test_an_unknown_model_is_refused_with_a_suggestion(stemfix, action: str) -> None:
    outcome = stemfix("models", action, "htdemux")
    assert outcome.status == 2
    assert "Did you mean `htdemucs`?" in outcome.err


def test_a_pull_that_is_stopped_ends_with_130(stemfix, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    def pull(name: str, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        options["cancel"]()
        raise AssertionError("not stopped")

    monkeypatch.setattr(weights, "pull", pull)
    assert stemfix("models", "pull", "htdemucs").status == 130


def test_a_pull_that_fails_says_why(stemfix, monkeypatch: pytest.MonkeyPatch) -> None:
    def pull(name: str, **options: Any) -> Any:
        raise ModelError("The weights can't be had.", "Check the connection.")

    monkeypatch.setattr(weights, "pull", pull)
    outcome = stemfix("models", "pull", "htdemucs")
    assert outcome.status == 2
    assert outcome.error_lines == ["stemfix: The weights can't be had. Check the connection."]

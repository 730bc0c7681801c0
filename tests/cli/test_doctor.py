from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stemfix.checks as checks
from engine.separation import weights
from stemfix.checks import Check, check_folder
from stemfix.memory import memory_bytes

NAMES = {
    "python",
    "packages",
    "device",
    "speed",
    "memory",
    "models",
    "cache",
    "temporary",
    "weights",
    "ffmpeg",
    "npm",
    "self-test",
}


def test_without_weights_it_fails_and_tells_how_to_get_them(stemfix) -> None:
    outcome = stemfix("doctor")
    assert outcome.status == 1
    assert "FAILED  weights" in outcome.out
    assert "-> Run: stemfix models pull htdemucs" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80 or "/" in outcome.out


def test_as_json_every_failure_has_a_remedy(stemfix) -> None:
    outcome = stemfix("doctor", "--json")
    (found,) = outcome.objects
    assert outcome.status == 1
    assert found["ok"] is False
    assert {check["name"] for check in found["checks"]} == NAMES
    assert all(check["remedy"] for check in found["checks"] if check["state"] == "failed")
    assert not any(check["found"].startswith("Unexpected") for check in found["checks"])


@pytest.fixture
def healthy(fake_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """htdemucs is installed and whole; a stand-in does its work."""
    from types import SimpleNamespace

    found = SimpleNamespace(size_bytes=84_024_904)
    monkeypatch.setattr(weights, "installed", lambda name: found if name == "htdemucs" else None)
    monkeypatch.setattr(weights, "verify", lambda name: [])


@pytest.mark.usefixtures("healthy")
def test_the_self_test_separates_writes_reads_and_sums(stemfix, fake_model: Any) -> None:
    (found,) = stemfix("doctor", "--json").objects
    (check,) = [check for check in found["checks"] if check["name"] == "self-test"]
    assert check["state"] == "ok", check
    assert "nulls at -" in check["found"]
    assert fake_model.runs == 1


@pytest.mark.usefixtures("healthy")
def test_damaged_weights_are_a_failure(stemfix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "verify", lambda name: ["x.safetensors: it is missing"])
    outcome = stemfix("doctor")
    assert outcome.status == 1
    assert "stemfix models pull htdemucs --force" in outcome.out


def test_a_check_that_breaks_is_a_failure_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def _memory() -> Iterator[Check]:
        raise RuntimeError("odd\nmachine")
        yield

    monkeypatch.setattr(checks, "_memory", _memory)
    found = {check.name: check for check in checks.all_checks()}
    assert found["memory"].state == "failed"
    assert found["memory"].found == "RuntimeError: odd machine"
    assert "self-test" in found


def test_a_package_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PACKAGES", ("click", "no_such_package"))
    (check,) = checks._packages()
    assert check.state == "failed"
    assert "no_such_package" in check.found
    assert "no_such_package" in check.remedy


def test_a_folder_that_does_not_exist_yet_is_no_failure_and_is_not_made(tmp_path: Path) -> None:
    check = check_folder("models", tmp_path / "new" / "folder", "Do something.")
    assert check.state != "failed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions don't hold for the superuser")
def test_a_folder_that_may_not_be_written_is_a_failure(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    check = check_folder("models", locked, "Do something.")
    assert (check.state, check.remedy) == ("failed", "Do something.")


def test_memory_is_told_where_it_can_be() -> None:
    total, available = memory_bytes()
    if total is not None and available is not None:
        assert 0 < available <= total

"""The end of a job in its less happy forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.pipeline import JobResult
from stemfix.show import show_result
from stemfix.text import about_bytes_text, bytes_text, count_text, finite, number_text, plain


def changed(found: dict[str, Any], **proof: Any) -> JobResult:
    """The result of a job whose first stem's proof has other values."""
    from engine.job import Manifest, Report

    found["manifest"]["stems"][0]["proof"].update(proof)
    return JobResult(
        Path(found["folder"]),
        Manifest.model_validate(found["manifest"]),
        Report.model_validate(found["report"]),
    )


@pytest.fixture
def found(stemfix: Any, fake_model: Any, make_song: Callable[..., Path]) -> dict[str, Any]:
    (outcome,) = stemfix("enhance", make_song(), "--json").objects
    return outcome


def test_a_warning_comes_with_its_reasons(found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    show_result(changed(found, verdict="WARN", reasons=["The phase is turned."], delay_samples=-0.2))
    shown = capsys.readouterr().out
    assert "WARN drums: The phase is turned." in shown
    assert "-0.200" in shown


def test_a_silent_stem_has_no_numbers(found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    show_result(changed(found, silent=True))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("drums"))
    assert row.split() == ["drums", "silent", "-", "-", "-", "PASS"]


def test_an_inverted_stem_says_so_and_zero_has_no_sign(
    found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    show_result(changed(found, polarity=-1, delay_samples=-0.0001))
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("drums"))
    assert "inverted" in row
    assert "-0.000" not in row


def test_clipping_is_told(found: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    found["manifest"]["stems"][0]["clipped_samples"] = 7
    show_result(changed(found))
    assert "clipped in song-drums.wav" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (84_024_904, "84.0 MB"), (2 * 10**13, "20.0 TB")]
)
def test_sizes_as_text(count: int, text: str) -> None:
    assert bytes_text(count) == text


def test_zero_is_never_negative() -> None:
    assert [number_text(value, 3) for value in (-0.0004, -0.0, 0.0004, -0.0006)] == [
        "0.000",
        "0.000",
        "0.000",
        "-0.001",
    ]
    assert [number_text(value, 1, sign=True) for value in (-0.04, 0.04, 1.0)] == ["+0.0", "+0.0", "+1.0"]


def test_counts_and_rough_sizes_as_text() -> None:
    assert [count_text(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    sizes = (84_024_904, 1_300_000_000, None)
    assert [about_bytes_text(size) for size in sizes] == ["about 84 MB", "about 1.3 GB", "size unknown"]


def test_json_gets_no_number_that_it_does_not_have() -> None:
    assert finite({"a": [float("inf"), float("nan"), 1.5], "b": (float("-inf"),)}) == {
        "a": [None, None, 1.5],
        "b": [None],
    }


def test_names_cannot_steer_the_terminal() -> None:
    assert plain("a\x1b[2J\nb\u202e 🎸 é") == "a\\x1b[2J\\nb\\u202e 🎸 é"

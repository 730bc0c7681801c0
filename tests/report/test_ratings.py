"""Ratings: totals per preset, exact p-values, and files that are none are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError
from engine.report.ratings import RatingsFile, at_least, find_ratings, read_ratings, total
from stemfix.commands.ratings import command

VERSIONS = [
    {"id": "v0", "name": "Original", "preset": None},
    {"id": "v1", "name": "balanced", "preset": "balanced"},
    {"id": "v2", "name": "maximum", "preset": "maximum"},
]


def ratings(song: str = "s", listener: str = "", **more: Any) -> dict[str, Any]:
    return {
        "format": "stemfix-ratings",
        "version": "1.0",
        "song": song,
        "listener": listener,
        "versions": VERSIONS,
        **more,
    }


def preference(chosen: list[str], among: list[str]) -> dict[str, Any]:
    rounds = [{"order": among, "chosen": one} for one in chosen]
    marks = [{"version": one, "clarity": 7, "naturalness": 6, "professional": 10} for one in among]
    return {"versions": among, "rounds": rounds, "ratings": marks}


@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.05, 0.95))
def test_equal_chances_are_the_binomial_distribution(successes: int, count: int, chance: float) -> None:
    from scipy.stats import binom

    expected = binom.sf(successes - 1, count, chance)
    assert at_least(successes, [chance] * count) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_unequal_chances_are_exact() -> None:
    # Every outcome written out.
    chances = [0.5, 1 / 3, 0.25]
    expected = sum(
        (a * 0.5 + (1 - a) * 0.5) * (b / 3 + (1 - b) * 2 / 3) * (c / 4 + (1 - c) * 3 / 4)
        for a in (0, 1)
        for b in (0, 1)
        for c in (0, 1)
        if a + b + c >= 2
    )
    assert at_least(2, chances) == pytest.approx(expected)


def test_totals_over_files_and_songs() -> None:
    files = [
        ratings("one", "Ada", preference=[preference(["v1", "v1", "v2"], ["v0", "v1", "v2"])]),
        ratings("two", "Bo", preference=[preference(["v1"], ["v0", "v1"])]),
        ratings("two", "Bo", abx=[{"a": "v1", "b": "v0", "trials": [{"x": "a", "answer": "a"}] * 5}]),
    ]
    found = total([RatingsFile.model_validate(one) for one in files])
    assert (found.files, found.songs, found.listeners) == (3, 2, 2)
    assert found.presets[0].preset == "balanced"
    balanced = found.presets[0]
    assert (balanced.chosen, balanced.rounds, balanced.expected) == (3, 4, pytest.approx(1.5))
    assert (balanced.ratings, balanced.clarity, balanced.professional) == (2, 7, 10)
    assert found.abx[0].presets == ("balanced", "original")
    assert found.abx[0].p_value == pytest.approx(1 / 32)


def test_what_a_file_claims_is_counted_again() -> None:
    lie = {"a": "v0", "b": "v1", "trials": [{"x": "a", "answer": "b"}], "correct": 1, "p_value": 0.0}
    found = total([RatingsFile.model_validate(ratings(abx=[lie]))])
    assert (found.abx[0].correct, found.abx[0].p_value) == (0, 1.0)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"format": "other"}', json.dumps(ratings(preference=[{"versions": [], "rounds": [{}]}]))],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"x\.json"):
        read_ratings(path)


def test_a_folder_is_searched_and_foreign_files_in_it_are_passed_over(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ratings"):
        find_ratings([tmp_path])
    (tmp_path / "deep").mkdir()
    good = tmp_path / "deep" / "a.json"
    good.write_text(json.dumps(ratings()))
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "broken.json").write_bytes(b"\xff{")
    assert find_ratings([tmp_path, good]) == [good.resolve()]


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(ratings(preference=[preference(["v2"] * 6, ["v1", "v2"])])))
    shown = CliRunner().invoke(command, [str(tmp_path)]).output
    assert "maximum" in shown
    assert "6 of 6" in shown
    assert "0.0156" in shown
    found = json.loads(CliRunner().invoke(command, [str(path), "--json"]).output)
    assert found["presets"][0]["p_value"] == pytest.approx(1 / 64)

"""Matching and figures: their examples, and bounds for whatever comes in."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.report import effect_words, matching, ratings
from engine.report.matching import Level, match_gains_db

LEVELS = st.dictionaries(
    st.text(max_size=3),
    st.builds(Level, st.one_of(st.none(), st.floats(-70, 3)), st.one_of(st.none(), st.floats(-60, 12))),
    max_size=6,
)


@pytest.mark.parametrize("module", [effect_words, matching, ratings])
def test_examples(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


@given(LEVELS)
def test_matching_is_equal_and_never_clips(levels: dict[str, Level]) -> None:
    gains = match_gains_db(levels)
    heard = [level.lufs + gains[name] for name, level in levels.items() if level.lufs is not None]
    assert max(heard, default=0) - min(heard, default=0) < 0.002
    for name, level in levels.items():
        assert gains[name] <= 0
        if level.lufs is not None and level.true_peak_db is not None:
            assert level.true_peak_db + gains[name] <= 1e-3 or gains[name] <= -level.true_peak_db + 1e-3


@pytest.mark.parametrize("value", [None, [], {}, float, True, "", 3, -2.5, "text"])
def test_any_figure_is_words(value: object) -> None:
    assert isinstance(effect_words.figure("some_key_db", value), str)

"""Blind tests in the browser: what is played stays hidden, and what was answered comes out whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.report.ratings import read_ratings, total

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SESSION = "window.comparison.blind.session"


def run_abx(page: Any, trials: int, wrong: int) -> None:
    page.click("#open-blind")
    page.fill("#abx-total", str(trials))
    page.select_option("#abx-a", "0")
    page.select_option("#abx-b", "2")
    page.click("#abx-start")
    for number in range(trials):
        x = page.evaluate(f"{SESSION}.x")
        page.click(f"[data-answer='{1 - x if number < wrong else x}']")


def save(page: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#save-ratings")
    assert download.value.suggested_filename.endswith("-ratings.json")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_abx_counts_saves_and_adds_up(visit: Callable[..., Any], tmp_path: Path) -> None:
    from scipy.stats import binomtest

    page = visit()
    run_abx(page, trials=12, wrong=2)
    assert "10 of 12 right" in page.inner_text("#abx-result")
    page.fill("#listener", "Ada \N{SMILING FACE WITH SUNGLASSES}")
    path = save(page, tmp_path)
    expected = binomtest(10, 12, 0.5, alternative="greater").pvalue
    assert json.loads(path.read_text())["abx"][0]["p_value"] == pytest.approx(expected, rel=1e-9)
    totals = total([read_ratings(path)])
    assert totals.abx[0].presets == ("maximum", "original")
    assert (totals.abx[0].correct, totals.abx[0].total) == (10, 12)
    assert totals.abx[0].p_value == pytest.approx(expected)


def test_a_preference_with_ratings(visit: Callable[..., Any], tmp_path: Path) -> None:
    from scipy.stats import binom

    page = visit()
    page.click("#open-blind")
    page.fill("#preference-total", "6")
    page.click("#preference-start")
    order = page.evaluate(f"{SESSION}.order")
    for label in range(3):
        slider = page.locator(f"[data-rating='{label}-clarity']")
        slider.fill(str(3 + order[label]))
    page.click("#ratings-done")
    for _ in range(6):
        order = page.evaluate(f"{SESSION}.order")
        assert sorted(order) == [0, 1, 2]
        page.click(f"[data-answer='{order.index(2)}']")
    assert "maximum" in page.inner_text("#blind-body")
    path = save(page, tmp_path)
    found = json.loads(path.read_text())["preference"][0]
    assert found["wins"] == {"v0": 0, "v1": 0, "v2": 6}
    assert found["p_value"] == pytest.approx(3 * binom.sf(5, 6, 1 / 3), rel=1e-9)
    totals = {one.preset: one for one in total([read_ratings(path)]).presets}
    assert totals["maximum"].chosen == 6
    assert (totals["original"].clarity, totals["maximum"].clarity) == (3, 5)


def test_nothing_on_the_screen_tells_what_plays(visit: Callable[..., Any]) -> None:
    page = visit()
    page.keyboard.press("2")
    page.click("#open-blind")
    page.click("#abx-start")
    shown = page.inner_text("body").lower()
    for name in ("balanced", "maximum", "original"):
        assert name not in shown
    assert not page.is_visible("#pictures")
    assert not page.is_visible("#versions")
    assert page.is_disabled("#matched")
    pictures = set()
    for label in ("1", "2", "3"):
        page.keyboard.press(label)
        pressed = page.get_attribute(f"[data-label='{int(label) - 1}']", "aria-pressed")
        assert pressed == "true"
        pictures.add(page.locator("#waveform").screenshot())
    assert len(pictures) == 1
    page.click("text=End the test")
    page.click("text=Back to the page")
    assert page.is_visible("#pictures")


def test_the_labels_play_what_they_stand_for_at_one_loudness(visit: Callable[..., Any]) -> None:
    page = visit()
    page.uncheck("#matched")
    page.click("#open-blind")
    page.select_option("#abx-b", "2")
    page.click("#abx-start")
    heard = {}
    for label in range(3):
        page.keyboard.press(str(label + 1))
        heard[label] = page.evaluate("Object.fromEntries(window.comparison.player._targets)")
    x = page.evaluate(f"{SESSION}.x")
    tracks = page.evaluate("window.comparison.page.tracks")
    assert heard[2] == heard[x]
    for label, track in ((0, "v0"), (1, "v2")):
        assert heard[label] == {track: pytest.approx(10 ** (tracks[track]["match_db"] / 20))}


def test_a_test_runs_from_the_keyboard_alone(visit: Callable[..., Any]) -> None:
    page = visit()
    page.focus("#open-blind")
    page.keyboard.press("Enter")
    page.fill("#abx-total", "2")
    page.focus("#abx-start")
    page.keyboard.press("Enter")
    for _ in range(2):
        page.focus("[data-answer='0']")
        page.keyboard.press("Enter")
    assert page.is_visible("#abx-result")
    assert page.evaluate("document.activeElement.id") == "blind-heading"


def test_x_is_random(visit: Callable[..., Any]) -> None:
    page = visit()
    page.click("#open-blind")
    page.fill("#abx-total", "100")
    page.click("#abx-start")
    page.evaluate(f"(() => {{ const s = {SESSION}; while (!s.done) s.answer(0); }})()")
    right = page.evaluate(f"{SESSION}.correct")
    assert 20 <= right <= 80  # a fair coin leaves this once in 10^9 runs


def test_binomial_tails_are_exact(visit: Callable[..., Any]) -> None:
    from scipy.stats import binom, binomtest

    page = visit()
    cases = [
        (k, n, p) for n in (1, 2, 16, 100, 500) for k in {0, 1, n // 2, n - 1, n} for p in (0.5, 1 / 3, 0.25)
    ]
    found = page.evaluate("(cases) => cases.map((one) => window.comparison.binomialTail(...one))", cases)
    for (k, n, p), value in zip(cases, found, strict=True):
        assert value == pytest.approx(binom.sf(k - 1, n, p), rel=1e-9, abs=1e-300)
    assert page.evaluate("window.comparison.preferencePValue(9, 10, 2)") == pytest.approx(
        binomtest(9, 10, 0.5).pvalue
    )

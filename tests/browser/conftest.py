"""A comparison page on disk, and a headless Chromium that opens it without a network."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from engine.audio.buffer import Audio
from engine.report.build import PageOptions, build_page
from engine.report.job_folder import JobFolder

RATE = 44_100
SECONDS = 12
#: What a careless page would run, take for markup, or fill in.
TITLE = "<img src=x onerror=alert(1)> & {{script}} 'é' \N{SMILING FACE WITH SUNGLASSES}"
STEMS = ("vocals", "drums", "bass")

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@dataclass(frozen=True)
class Built:
    """A page with what it was made from."""

    path: Path
    #: Samples of each track by its id, shape (channels, frames).
    tracks: dict[str, Audio]


def _chromium() -> str | None:
    for name in (os.environ.get("STEMFIX_TEST_BROWSER"), "chromium", "chromium-browser", "google-chrome"):
        if name and (found := shutil.which(name)):
            return found
    return None


def _noise(seed: int, level: float) -> Audio:
    """Noise that is different at every place, so that a shift of one frame shows; no two parts are alike."""
    audio = np.random.default_rng(seed).standard_normal((2, RATE * SECONDS), np.float32) * np.float32(level)
    # 24 bits hold these samples exactly, so FLAC gives them back to the bit.
    return np.round(np.clip(audio, -0.9, 0.9) * 2**16) / np.float32(2**16)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, write_job: Callable[..., Path]) -> Built:
    """A page with the original and two versions, stems, repairs, full quality, and a nasty title."""
    folder = tmp_path_factory.mktemp("page")
    source = folder / f"{TITLE}.wav"
    original = _noise(1, 0.05)
    soundfile.write(source, original.T, RATE, subtype="FLOAT")
    tracks = {"v0": original}
    jobs = []
    for number, (preset, level) in enumerate((("balanced", 0.1), ("maximum", 0.2)), start=1):
        mix = _noise(10 * number, level)
        stems = {name: _noise(10 * number + n, level / 2) for n, name in enumerate(STEMS, start=1)}
        report = {
            "alignment": {"stems": {name: _alignment(n) for n, name in enumerate(STEMS)}},
            "repairs": [_repair("declick", 0.0), _repair("decomb", 3.0)],
            "chains": {"vocals": [{"effect": "deess", "applied": True, "max_reduction_db": 4.2}]},
            "mix": {"gain_db": -1.5, "chain": [{"effect": "limiter", "applied": False}]},
            "versions": {"stemfix": "0.1.0", "<b>torch</b>": "2"},
        }
        jobs.append(write_job(folder / f"job{number}.stemfix", source, mix, stems, preset, report=report))
        tracks |= {f"v{number}": mix} | {f"v{number}-{name}": audio for name, audio in stems.items()}
    page = build_page(
        [JobFolder.open(job) for job in jobs], folder, PageOptions(stems=True, full_quality=True)
    )
    return Built(page.path, tracks)


def _alignment(number: int) -> dict[str, Any]:
    band = {"low_hz": 20.0, "high_hz": 150.0, "phase_deg": -0.2, "gain_db": 0.1, "coherence": 0.99}
    verdict = ("PASS", "WARN", "FAIL")[number]
    reasons = [] if verdict == "PASS" else ["<i>It moved</i>."]
    return {
        "verdict": verdict,
        "reasons": reasons,
        "delay_samples": -0.0004,
        "polarity": 1,
        "gain_db": 0.1,
        "coherence": 0.9998,
        "drift_ppm": None,
        "bands": [band],
    }


def _repair(effect: str, start_s: float) -> dict[str, Any]:
    places = [{"start_s": start_s + n, "end_s": start_s + n + 0.05, "low_hz": 3000.0} for n in range(5)]
    return {
        "effect": effect,
        "applied": True,
        "artifact": "clicks",
        "synthetic": effect == "declick",
        "found": "5 clicks <script>alert(2)</script>.",
        "done": "Their samples were rebuilt.",
        "places": places,
        "places_total": 500,
        "figures": {"worst_db": -12.0},
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            # One after the other: they listen to a clock.
            item.add_marker(pytest.mark.xdist_group("browser"))


# Not for the session: playwright keeps an event loop in this thread, which the queue's tests can't do with.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser; tests that need it are skipped where there is none, and fail in CI."""
    program = _chromium()
    if program is None:
        reason = "no Chromium is installed. Run as root: make system"
        if os.environ.get("CI") == "true" and shutil.which("apt-get"):
            pytest.fail(reason)
        pytest.skip(reason)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program,
            # A container has no sandbox of its own; the page under test is ours.
            args=["--no-sandbox", "--autoplay-policy=user-gesture-required"],
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, built: Built) -> Iterator[Callable[..., Any]]:
    """`visit(width=1600, scheme="dark")` opens the page; nothing was fetched and nothing failed."""
    contexts = []
    troubles: list[str] = []
    requests: list[str] = []

    def open_page(
        width: int = 1600, scheme: str = "dark", path: Path | None = None, expected: str = "(none)"
    ) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        context.set_offline(True)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda said: (
                troubles.append(said.text)
                if said.type in ("error", "warning") and expected not in said.text
                else None
            ),
        )
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((path or built.path).as_uri())
        page.until = lambda expression: _until(page, expression)
        page.until("window.comparison !== undefined")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert troubles == []
    beside = (built.path.parent).as_uri()
    assert [url for url in requests if not url.startswith((beside, "blob:", "data:"))] == []


@pytest.fixture
def playing(visit: Callable[..., Any]) -> Any:
    """The page, playing after a click on Play."""
    page = visit()
    page.click("#play")
    page.until("window.comparison.player.position() > 4410")
    return page


def _until(page: Any, expression: str) -> None:
    """Wait for it; playwright's own waiting needs `eval`, which the page's policy forbids."""
    end = time.monotonic() + 30
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"waited in vain for {expression}"
        page.wait_for_timeout(20)

"""Make the pictures of the comparison page in docs/images, in the browser that the tests drive.

    python docs/make_compare_images.py [PAGE]

PAGE is a page to show; by default one is made of the demo song, which needs the weights of htdemucs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
IMAGES = DOCS / "images"
DEMO = DOCS.parent / "examples" / "demo.flac"


def main() -> None:
    """Make the page and shoot it at both widths."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else _make(Path(folder))
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            _shoot(browser, page, "compare-1600.png", 1600, 1000, "dark", _listen)
            _shoot(browser, page, "compare-1600-light.png", 1600, 1000, "light", _read)
            _shoot(browser, page, "compare-390.png", 390, 844, "light", _listen)
            _shoot(browser, page, "compare-blind-390.png", 390, 844, "dark", _test)
            browser.close()


def _make(folder: Path) -> Path:
    command = [sys.executable, "-m", "stemfix", "compare", str(DEMO), "--stems", "--out", str(folder)]
    subprocess.run([*command, "--presets", "balanced,maximum", "--quiet"], check=True)
    return folder / "comparison.html"


def _shoot(browser: Any, page: Path, name: str, width: int, height: int, scheme: str, act: Any) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        device_scale_factor=1 if width > 1000 else 2,
    )
    tab = context.new_page()
    tab.goto(page.absolute().as_uri())
    act(tab)
    tab.wait_for_timeout(400)
    tab.screenshot(path=IMAGES / name)
    context.close()


def _listen(tab: Any) -> None:
    """The second version, stopped in the middle of a loop."""
    tab.keyboard.press("2")
    tab.evaluate("window.comparison.player.setLoop([8 * 44100, 14 * 44100])")
    tab.evaluate("window.comparison.player.seek(10.2 * 44100)")


def _read(tab: Any) -> None:
    """The difference, and the tables below it."""
    tab.keyboard.press("3")
    tab.keyboard.press("d")
    tab.evaluate("document.getElementById('picture-bar').scrollIntoView()")


def _test(tab: Any) -> None:
    """A blind test's first round."""
    tab.click("#open-blind")
    tab.click("#preference-start")


if __name__ == "__main__":
    main()

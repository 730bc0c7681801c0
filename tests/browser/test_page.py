"""The page under a listener's hands: play, switch, loop, solo, keyboard, and nothing from a name runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

POSITION = "window.comparison.player.position()"
#: The song's frame minus the clock's, read in one go: it changes only where the song jumps.
OFFSET = """(() => { const { player } = window.comparison; const now = player.now();
  return player.position(now) - now; })()"""


def test_play_and_pause(playing: Any) -> None:
    assert playing.inner_text("#play") == "Pause"
    first = playing.evaluate(POSITION)
    playing.until(f"{POSITION} > {first} + 4410")
    playing.click("#play")
    stopped = playing.evaluate(POSITION)
    playing.wait_for_timeout(150)
    assert playing.evaluate(POSITION) == stopped
    assert playing.inner_text("#play") == "Play"


def test_a_live_switch_keeps_the_place_to_the_frame(playing: Any) -> None:
    before = playing.evaluate(OFFSET)
    for key in ("2", "3", "1", "2"):
        playing.keyboard.press(key)
        assert playing.evaluate("window.comparison.state.version") == int(key) - 1
        assert abs(playing.evaluate(OFFSET) - before) <= 1
    playing.check("#version-0")
    playing.click("text=Solo >> nth=0")
    playing.wait_for_timeout(300)
    assert abs(playing.evaluate(OFFSET) - before) <= 1


def test_the_song_ends_at_its_start(playing: Any) -> None:
    playing.evaluate("window.comparison.player.seek(window.comparison.page.frames - 8000)")
    playing.until("!window.comparison.player.playing")
    assert playing.evaluate(POSITION) == 0


def test_seeking_by_slider_arrow_and_picture(playing: Any) -> None:
    playing.fill("#seek", "7.5")
    assert playing.evaluate(POSITION) == pytest.approx(7.5 * 44_100, abs=22_050)
    playing.keyboard.press("Home")
    assert playing.evaluate(POSITION) < 22_050
    playing.keyboard.press("ArrowRight")
    assert playing.evaluate(POSITION) == pytest.approx(5 * 44_100, abs=44_100)
    playing.keyboard.press("Shift+ArrowLeft")
    assert playing.evaluate(POSITION) == pytest.approx(4 * 44_100, abs=44_100)
    box = playing.locator("#waveform").bounding_box()
    playing.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 20)
    assert playing.evaluate(POSITION) == pytest.approx(9 * 44_100, abs=44_100)


def test_a_loop_keeps_playing_within_itself(playing: Any) -> None:
    playing.evaluate("window.comparison.player.setLoop([200000, 213230])")
    seen = [playing.evaluate(POSITION) for _ in range(40) if not playing.wait_for_timeout(25)]
    # The first looks may come before the jump is over.
    assert all(200_000 <= frame <= 213_230 for frame in seen[4:])
    assert any(later < earlier for earlier, later in itertools.pairwise(seen))
    assert playing.get_attribute("#loop", "aria-pressed") == "true"
    playing.keyboard.press("l")
    assert playing.evaluate("window.comparison.player.loop") is None
    playing.until(f"{POSITION} > 220000")


def test_a_loop_is_dragged_or_set_by_keys(visit: Callable[..., Any]) -> None:
    page = visit()
    box = page.locator("#waveform").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 10, steps=4)
    page.mouse.up()
    loop = page.evaluate("window.comparison.player.loop")
    assert loop == pytest.approx([3 * 44_100, 6 * 44_100], abs=2000)
    page.evaluate("window.comparison.player.seek(4 * 44100)")
    page.keyboard.press("[")
    assert page.evaluate("window.comparison.player.loop")[0] == 4 * 44_100
    page.evaluate("window.comparison.player.seek(5 * 44100)")
    page.keyboard.press("]")
    assert page.evaluate("window.comparison.player.loop") == [4 * 44_100, 5 * 44_100]
    assert page.inner_text("#loop-words") == "0:04.0 to 0:05.0"


def test_solo_and_mute_by_button_and_key(playing: Any) -> None:
    playing.keyboard.press("2")
    targets = "Object.fromEntries(window.comparison.player._targets)"
    assert list(playing.evaluate(targets)) == ["v1"]
    playing.click("[aria-label='Solo drums']")
    assert list(playing.evaluate(targets)) == ["v1-drums"]
    playing.click("[aria-label='Solo drums']")
    playing.click("[aria-label='Mute vocals']")
    assert list(playing.evaluate(targets)) == ["v1-drums", "v1-bass"]
    assert playing.get_attribute("[aria-label='Mute vocals']", "aria-pressed") == "true"
    playing.click("[aria-label='Mute vocals']")
    playing.keyboard.press("s")
    assert list(playing.evaluate(targets)) == ["v1-vocals"]
    # The original has no stems here: its mix is heard, and the page says so.
    playing.keyboard.press("1")
    assert list(playing.evaluate(targets)) == ["v0"]
    assert "no stems" in playing.inner_text("#version-words")


def test_full_quality_goes_on_at_the_same_place(playing: Any) -> None:
    before = playing.evaluate(POSITION)
    playing.check("#quality")
    playing.until(f"{POSITION} > {before} + 22050")
    assert playing.evaluate("window.comparison.store.quality") == "full"
    assert playing.evaluate("window.comparison.player.playing")


def test_memory_stays_small_however_much_is_heard(playing: Any) -> None:
    playing.keyboard.press("s")
    for quality in ("full", "small", "full"):
        playing.evaluate(f"window.comparison.state.update({{ quality: '{quality}' }})")
        for second in (0, 6, 11, 2):
            playing.evaluate(f"window.comparison.player.seek({second} * 44100)")
            playing.wait_for_timeout(60)
    playing.wait_for_timeout(600)
    tracks = playing.evaluate("window.comparison.player._active.size")
    assert playing.evaluate("window.comparison.store.decoded.size") <= 4 * tracks


def test_everything_can_be_done_from_the_keyboard(visit: Callable[..., Any]) -> None:
    page = visit()
    reached = set()
    for _ in range(160):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.getAttribute('aria-label') || ''"
            )
        )
    wanted = {"play", "seek", "loop", "loop-start", "loop-stop", "matched", "quality", "theme", "open-blind"}
    wanted |= {"help-open", "marks", "version-0", "Solo vocals", "Mute bass"}
    assert wanted - reached == set()
    page.focus("#help-open")
    page.keyboard.press("Enter")
    assert page.is_visible("#help")
    page.focus("#shortcuts")
    page.keyboard.press("Space")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    page.keyboard.press("3")
    assert page.evaluate("window.comparison.state.version") == 0  # single keys are off
    page.focus("#version-0")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("window.comparison.state.version") == 1


def test_space_plays_unless_a_button_has_the_focus(visit: Callable[..., Any]) -> None:
    page = visit()
    page.keyboard.press("Space")
    page.until("window.comparison.player.playing")
    page.click("[aria-label='Solo bass']")
    page.keyboard.press("Space")
    assert not page.evaluate("window.comparison.player.playing")
    assert page.evaluate("window.comparison.state.solo.size") == 1
    page.focus("[aria-label='Solo bass']")
    page.keyboard.press("Space")
    assert not page.evaluate("window.comparison.player.playing")
    assert page.evaluate("window.comparison.state.solo.size") == 0


def test_names_and_reports_are_text(visit: Callable[..., Any]) -> None:
    page = visit(expected="Content Security Policy")
    title = page.inner_text("#title")
    assert title.startswith("<img src=x onerror=alert(1)> & {{script}}")
    assert page.title().startswith("<img src=x")
    assert page.locator("main img, main i, main b, main script").count() == 0
    assert "<script>alert(2)</script>" in page.inner_text("#repairs")
    # Whatever got into the page would not run: only the page's own script may.
    page.evaluate("""() => {
      const trap = document.createElement('div');
      trap.innerHTML = '<img src=x onerror="window.ran = 1">'
        + '<button id=trap onclick="window.ran = 2">x</button>';
      document.querySelector('main').prepend(trap); }""")
    page.click("#trap")
    assert page.evaluate("window.ran === undefined")
    policy = page.get_attribute("meta[http-equiv]", "content")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_tables_show_what_the_reports_say(visit: Callable[..., Any]) -> None:
    page = visit()
    alignment = page.inner_text("#alignment")
    for words in (
        "PASS",
        "WARN",
        "FAIL",
        "0.000",
        "0.9998",
        "same",
        "\N{MINUS SIGN}170.0 dBFS",
        "<i>It moved</i>",
    ):
        assert words in alignment
    loudness = page.inner_text("#loudness")
    assert loudness.count("balanced") == 2
    repairs = page.inner_text("#repairs")
    assert "adds sound that was not recorded" in repairs
    assert "and 495 more places" in repairs
    assert "limiter (mix)" in repairs
    page.click("#about summary >> nth=0")
    assert "htdemucs" in page.inner_text("#about")
    assert "Licence of the weights" in page.inner_text("#about")


def test_a_place_takes_you_there(visit: Callable[..., Any]) -> None:
    page = visit()
    page.click("[aria-label^='Go to 0:04.0']")
    assert page.evaluate(POSITION) == round(3.5 * 44_100)
    assert page.evaluate("window.comparison.state.version") == 1


def test_pictures_are_drawn(visit: Callable[..., Any]) -> None:
    page = visit()
    colours = """() => [...document.querySelectorAll('#waveform, .picture')].map((canvas) => {
      const copy = new OffscreenCanvas(canvas.width, canvas.height);
      const context = copy.getContext('2d', { willReadFrequently: true });
      context.drawImage(canvas, 0, 0);
      const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
      const seen = new Set();
      for (let i = 0; i < data.length; i += 4 * 97)
        seen.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      return seen.size; })"""
    for picture, count in (("spectrogram", 1), ("difference", 1), ("all", 3)):
        page.keyboard.press("2")
        page.click(f"[data-picture={picture}]")
        found = page.evaluate(colours)
        assert len(found) == 1 + count
        assert all(size > 20 for size in found[1:])
        assert found[0] >= 2

"""Access: contrast, names, structure and room, computed on the page as it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

#: Every visible text with its contrast against what is painted behind it, as WCAG 2.2 computes it.
CONTRASTS = """() => {
  const parse = (text) => {
    const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    probe.fillStyle = text; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
    if (element.closest('.hidden-visually, .skip, script, style')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [luminance(parse(style.color)), luminance(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    found.push({ text: node.textContent.trim().slice(0, 40), ratio: (a + 0.05) / (b + 0.05), large });
  }
  return found;
}"""

#: Controls without a name, ids used twice, inputs without a label, headings that skip a level.
STRUCTURE = """() => {
  const problems = [];
  const visible = (element) => element.checkVisibility();
  const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
  ids.filter((id, index) => ids.indexOf(id) !== index).forEach((id) => problems.push(`id twice: ${id}`));
  for (const element of document.querySelectorAll('button, summary, a')) {
    if (visible(element) && !(element.getAttribute('aria-label') || element.textContent.trim()))
      problems.push(`no name: ${element.outerHTML}`);
  }
  for (const element of document.querySelectorAll('input, select')) {
    if (visible(element) && !(element.labels.length || element.getAttribute('aria-label')))
      problems.push(`no label: ${element.outerHTML}`);
  }
  for (const element of document.querySelectorAll('canvas')) {
    const named = element.getAttribute('role') === 'img' && element.getAttribute('aria-label');
    if (!named && element.getAttribute('aria-hidden') !== 'true') problems.push('canvas without a name');
  }
  let level = 0;
  for (const heading of document.querySelectorAll('h1, h2, h3, h4')) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) problems.push(`heading skips to ${now}: ${heading.textContent}`);
    level = now;
  }
  if (document.querySelectorAll('h1').length !== 1) problems.push('not one h1');
  if (!document.documentElement.lang) problems.push('no language');
  return problems;
}"""


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_contrast_is_wcag_aa(visit: Callable[..., Any], scheme: str) -> None:
    page = visit(scheme=scheme)
    page.emulate_media(reduced_motion="reduce", color_scheme=scheme)  # no colour is caught on its way
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.click("[aria-label='Solo vocals']")
    found = page.evaluate(CONTRASTS)
    page.click("#open-blind")
    found += page.evaluate(CONTRASTS)
    page.click("#preference-start")
    found += page.evaluate(CONTRASTS)
    assert len(found) > 200
    poor = [one for one in found if one["ratio"] < (3.0 if one["large"] else 4.5)]
    assert poor == []


def test_the_theme_can_be_chosen(visit: Callable[..., Any]) -> None:
    page = visit(scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("#theme")
    light = page.evaluate(ground)
    assert page.inner_text("#theme") == "Theme: light"
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: dark"
    assert light != dark == page.evaluate(ground)


def test_structure_and_names(visit: Callable[..., Any]) -> None:
    page = visit()
    assert page.evaluate(STRUCTURE) == []
    page.click("#open-blind")
    assert page.evaluate(STRUCTURE) == []
    page.click("#preference-start")
    assert page.evaluate(STRUCTURE) == []


@pytest.mark.parametrize("width", [320, 390, 1600])
def test_nothing_hangs_over_the_side(visit: Callable[..., Any], width: int) -> None:
    page = visit(width=width)
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= width
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate(wide) <= width
    page.click("#open-blind")
    assert page.evaluate(wide) <= width
    page.click("#preference-start")
    assert page.evaluate(wide) <= width


def test_controls_are_large_enough_for_a_finger(visit: Callable[..., Any]) -> None:
    page = visit(width=390)
    small = page.evaluate("""() => [...document.querySelectorAll('button, .version, select')]
      .filter((element) => element.checkVisibility())
      .map((element) => [element.textContent, element.getBoundingClientRect()])
      .filter(([, box]) => Math.min(box.width, box.height) < 24).map(([text]) => text)""")
    assert small == []


def test_nothing_moves_for_those_who_asked_for_less_motion(visit: Callable[..., Any]) -> None:
    page = visit()
    page.emulate_media(reduced_motion="reduce")
    moving = page.evaluate("""() => [...document.querySelectorAll('*')]
      .filter((element) => parseFloat(getComputedStyle(element).transitionDuration) > 0).length""")
    assert moving == 0

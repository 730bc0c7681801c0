"""Text measured in terminal cells: cut, padded and put together into lines that are never too wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, get_character_cell_size
from rich.text import Text

from stemfix.text import plain

Cut = Literal["end", "middle", "start"]

#: Asks for the emoji form of a character; terminals disagree on how wide that is.
_VARIATION_SELECTOR = "\ufe0f"


@dataclass(frozen=True)
class Cell:
    """A piece of a line: `width` cells wide, its text cut where it is too long."""

    text: str
    width: int
    style: str = ""
    right: bool = False
    cut: Cut = "end"


def safe(text: str) -> str:
    """`text` on one line, with nothing in it that steers a terminal or has no certain width."""
    return plain(text.replace(_VARIATION_SELECTOR, ""))


def fit(text: str, width: int, *, right: bool = False, cut: Cut = "end", dots: str = "…") -> str:
    """`text` in exactly `width` cells: padded, or cut at `cut` with dots in the gap."""
    if width <= 0:
        return ""
    text = safe(text)
    if (size := cell_len(text)) > width:
        text = _shortened(text, width, cut, dots)
        size = cell_len(text)
    pad = " " * (width - size)
    return pad + text if right else text + pad


def line(cells: Sequence[Cell], width: int, *, dots: str = "…", style: str = "") -> Text:
    """The cells side by side with one space between them, `width` cells in all; empty cells take no room."""
    text = Text(no_wrap=True, overflow="crop", end="", style=style)
    left = width
    for cell in cells:
        if cell.width <= 0 or left <= 0:
            continue
        if text.plain:
            text.append(" ")
            left -= 1
        size = min(cell.width, left)
        text.append(fit(cell.text, size, right=cell.right, cut=cell.cut, dots=dots), cell.style or None)
        left -= size
    if left > 0:
        text.append(" " * left)
    return text


def _shortened(text: str, width: int, cut: Cut, dots: str) -> str:
    room = width - cell_len(dots)
    if room <= 0:
        return _head(text, width)
    tail = {"end": 0, "middle": room // 2, "start": room}[cut]
    return _head(text, room - tail) + dots + _head(text[::-1], tail)[::-1]


def _head(text: str, width: int) -> str:
    """As many of the first characters as fit."""
    for index, character in enumerate(text):
        width -= get_character_cell_size(character)
        if width < 0:
            return text[:index]
    return text

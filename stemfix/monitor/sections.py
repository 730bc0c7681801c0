"""arrange: sections share the lines that there are, and each shows the part of its list that matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.text import Text


@dataclass(frozen=True)
class Section:
    """A title, and a list of which as much is drawn as there is room for."""

    title: Text
    #: Entries that can be drawn.
    count: int
    #: Entries that there are.
    total: int
    #: Entries that come before other sections get more than their least.
    least: int
    draw: Callable[[int], list[Text]]
    #: The line that says how many are not shown.
    more: Callable[[int], Text]
    chosen: int | None = None
    lines_each: int = 1


def arrange(sections: Sequence[Section], height: int, fill: int | None = None) -> list[Text]:
    """Exactly `height` lines: the sections one below the other; later ones give way where there is no room.

    `fill` is the width of the empty lines at the end.
    """
    shown = list(sections[:height])
    room = _share(shown, height - len(shown))
    blank = Text(" " * (fill or 0), end="")
    drawn = [[section.title, *_draw(section, given)] for section, given in zip(shown, room, strict=True)]
    airy = sum(map(len, drawn)) + len(drawn) <= height
    lines = [line for part in drawn for line in (*part, *([blank] if airy else []))]
    return lines + [blank] * (height - len(lines))


def _share(sections: Sequence[Section], height: int) -> list[int]:
    """Lines for each section's list: first its least, then one after the other until nothing is left."""
    wanted = [
        section.count * section.lines_each + (section.total > section.count > 0) for section in sections
    ]
    given = [0] * len(sections)
    # The selected job must be seen, whatever else is not.
    order = sorted(range(len(sections)), key=lambda at: sections[at].chosen is None)
    for at in order:
        section = sections[at]
        given[at] = min(wanted[at], section.lines_each if section.chosen is not None else 0, height)
        height -= given[at]
    for at, section in enumerate(sections):
        extra = max(min(wanted[at], section.least * section.lines_each) - given[at], 0)
        extra = min(extra, height)
        given[at] += extra
        height -= extra
    while height > 0 and any(has < want for has, want in zip(given, wanted, strict=True)):
        for at in range(len(sections)):
            if height > 0 and given[at] < wanted[at]:
                given[at] += 1
                height -= 1
    return given


def _draw(section: Section, height: int) -> list[Text]:
    """The entries around the chosen one, and how many are left out where that takes no entry's only line."""
    each = section.lines_each
    fits = height // each
    hidden = section.total - min(fits, section.count)
    tells = hidden > 0 and (height - fits * each > 0 or fits > 1)
    if tells and height - fits * each == 0:
        fits -= 1
        hidden = section.total - fits
    first = 0 if section.chosen is None else min(max(section.chosen - fits + 1, 0), section.count - fits)
    lines = [line for at in range(first, min(first + fits, section.count)) for line in section.draw(at)]
    return [*lines, section.more(hidden)] if tells else lines

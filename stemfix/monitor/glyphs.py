"""Glyphs: the few signs that the monitor draws with, in Unicode and in ASCII."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Glyphs:
    """One character each."""

    dots: str = "…"
    rule: str = "─"
    bar: str = "━"
    bar_rest: str = "─"
    dot: str = "·"
    alive: str = "●"
    absent: str = "○"
    done: str = "✓"
    failed: str = "✗"
    stopped: str = "–"
    selected: str = "❯"


UNICODE = Glyphs()
ASCII = Glyphs(
    dots="~",
    rule="-",
    bar="#",
    bar_rest=".",
    dot="|",
    alive="*",
    absent="o",
    done="+",
    failed="!",
    stopped="-",
    selected=">",
)


def glyphs_for(encoding: str | None) -> Glyphs:
    """What a stream of this encoding can show."""
    try:
        "".join(vars(UNICODE).values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE

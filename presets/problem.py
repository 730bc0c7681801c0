"""PresetProblem: what is wrong with a preset file, where, and what is allowed there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PresetProblem(ValueError):
    """A preset that does not exist or can't be used; `what` and `remedy` are whole sentences."""

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what} {remedy}".strip())


def suggestion(wrong: object, allowed: Iterable[str]) -> str:
    """ "Did you mean 'x'? " or nothing, then the list of what is allowed."""
    names = list(allowed)
    close = get_close_matches(str(wrong), names, n=1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"{hint}Allowed: {', '.join(names)}."

"""Every use of `reaper.X` and `gfx.X` in a Lua text, with the number of arguments where it is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_STRINGS_AND_COMMENTS = re.compile(
    r"--\[\[.*?\]\]|--[^\n]*|\[\[.*?\]\]|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL
)
_USE = re.compile(r"(?<![\w.])(reaper|gfx|r)\.(\w+)(\s*\()?")


class Use(NamedTuple):
    """One place where a function is named."""

    table: str
    name: str
    line: int
    #: None where it is not called there.
    arguments: int | None
    #: True where the last argument may stand for several.
    open_end: bool


def uses(text: str) -> Iterator[Use]:
    """All of them, in order."""
    bare = _STRINGS_AND_COMMENTS.sub(lambda m: '""' if m[0][0] != "-" else "", text)
    # The lines stay where they were, as far as one-line strings and comments go.
    for found in _USE.finditer(bare):
        table = "reaper" if found[1] == "r" else found[1]
        line = bare.count("\n", 0, found.start()) + 1
        if not found[3]:
            yield Use(table, found[2], line, None, False)
            continue
        arguments = _arguments(bare, found.end())
        last = arguments[-1] if arguments else ""
        yield Use(
            table, found[2], line, len(arguments), last.endswith((")", "...")) and not last.startswith("(")
        )


def _arguments(text: str, at: int) -> list[str]:
    """What stands between the bracket that opens before `at` and the one that closes it, split at commas."""
    depth, start, found = 0, at, []
    words = re.compile(r"\b(function|if|for|while|do|end)\b")
    while True:
        letter = text[at]
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            if depth == 0:
                break
            depth -= 1
        elif letter == "," and depth == 0:
            found.append(text[start:at].strip())
            start = at + 1
        elif word := words.match(text, at):
            depth += {"function": 1, "if": 1, "do": 1, "end": -1}.get(word[1], 0)
            at += len(word[1]) - 1
        at += 1
    if text[start:at].strip():
        found.append(text[start:at].strip())
    return found

"""LineIndex: the line on which a key of a TOML document stands, for messages; TOML parsers don't tell."""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
#: Strings and comments, in which brackets mean nothing.
_OPAQUE = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|#.*")


class LineIndex:
    """Lines by path, such as `("vocals", 0, "bands", 2)` for the third band of the first effect on vocals."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        #: How often each array of tables was opened.
        self._counts: dict[Path, int] = {}
        table: Path = ()
        value: Path = ()
        depth = elements = 0
        quote = ""
        for number, line in enumerate(text.splitlines(), start=1):
            if quote:
                quote = "" if quote in line else quote
                continue
            rest = line
            if depth == 0:
                if header := _HEADER.match(line):
                    table = self._open(header[2], header[1] == "[[")
                    self._lines.setdefault(table, number)
                    continue
                key = _KEY.match(line)
                if key is None:
                    continue
                value = table + _parts(key[1])
                self._lines.setdefault(value, number)
                rest, elements = line[key.end() :], 0
            quote = next((mark for mark in ('"""', "'''") if rest.count(mark) % 2), "")
            for character in _OPAQUE.sub("", rest):
                if character in "[{":
                    if character == "{" and depth == 1:
                        self._lines.setdefault((*value, elements), number)
                        elements += 1
                    depth += 1
                elif character in "]}":
                    depth -= 1

    def line(self, path: Path) -> int:
        """The line of `path` or of the nearest thing around it; 1 if there is none."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def _open(self, name: str, array: bool) -> Path:
        """The path of the table that a header opens."""
        path: Path = ()
        parts = _parts(name)
        for part in parts[:-1]:
            path = (*path, part)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
        path = (*path, parts[-1])
        if array:
            self._counts[path] = self._counts.get(path, 0) + 1
            path = (*path, self._counts[path] - 1)
        return path


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def syntax_problem(error: ValueError, text: str) -> tuple[int, str]:
    """(line, reason) of what a TOML parser complained about in `text`."""
    where = re.search(r"\(at line (\d+), column \d+\)|\(at end of document\)", str(error))
    line = int(where[1]) if where and where[1] else max(len(text.splitlines()), 1)
    return line, str(error).split(" (at ")[0].rstrip(".").lower()

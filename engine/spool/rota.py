"""Rota: names that are looked after in turn, a few at a time, so that a round costs the same however many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice


class Rota:
    """An ordered set; whoever had a turn goes to the end."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> None:
        """Append `name` unless it is there."""
        self._names.setdefault(name)

    def discard(self, name: str) -> None:
        """Remove `name` if it is there."""
        self._names.pop(name, None)

    def turn(self, count: int) -> Iterator[str]:
        """The next `count` names; each may be discarded meanwhile."""
        for name in list(islice(self._names, count)):
            if name in self._names:
                del self._names[name]
                self._names[name] = None
                yield name

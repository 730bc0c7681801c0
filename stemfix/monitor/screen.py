"""Screen: the terminal's second page, on which only the lines that changed are written again."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.text import Text

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"


class Screen:
    """Within `with screen:` the terminal shows our lines; then what it showed before, with its cursor.

    Lines never wrap, not even where terminal and program disagree on the width of a character.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: Sequence[str | None] = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines at this moment; a variable COLUMNS would not follow a change."""
        try:
            columns, lines = os.get_terminal_size(self._console.file.fileno())
        except (OSError, ValueError):
            columns, lines = self._console.size
        return max(columns, 1), max(lines, 1)

    def show(self, lines: Sequence[Text]) -> None:
        """Draw the page: lines that are as they were are left alone."""
        drawn = self._as_written(lines)
        before = self._shown if len(self._shown) == len(drawn) else [None] * len(drawn)
        # Each line is cleared by itself: a clear of the whole screen would go to some terminals' history.
        changed = [
            f"\x1b[{at};1H\x1b[2K{new}\x1b[0m"
            for at, (new, old) in enumerate(zip(drawn, before, strict=True), start=1)
            if new != old
        ]
        if changed:
            self._write("".join(changed))
        self._shown = drawn

    def redraw(self) -> None:
        """The next page is written whole: the terminal was resized, or another program wrote on it."""
        self._shown = []

    def __enter__(self) -> Screen:
        if sys.platform == "win32":
            os.system("")  # the known way to switch escape sequences on
        self.redraw()
        self._write(_ENTER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write(_LEAVE)

    def _as_written(self, lines: Sequence[Text]) -> list[str]:
        with self._console.capture() as captured:
            for line in lines:
                self._console.print(line, soft_wrap=True, end="\n")
        return captured.get().split("\n")[: len(lines)]

    def _write(self, text: str) -> None:
        file = self._console.file
        file.write(text)
        file.flush()

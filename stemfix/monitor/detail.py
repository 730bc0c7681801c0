"""The monitor's other pages: one job with its log, and the keys."""

from __future__ import annotations

from rich.text import Text

from stemfix.monitor.cells import Cell, line
from stemfix.monitor.glyphs import Glyphs
from stemfix.monitor.snapshot import JobStatus
from stemfix.monitor.ui import Ui
from stemfix.monitor.words import job_facts

_HELP = (
    ("up, down, j, k", "select a job; page up, page down, home and end too"),
    ("c", "cancel the selected job; you are asked first"),
    ("r", "queue a job again that has ended"),
    ("o", "open the folder of its results"),
    ("p", "open its comparison page; one that is missing is made first"),
    ("l", "show its log"),
    ("q, Esc", "quit; jobs go on without the monitor"),
    ("?", "this page"),
)


def help_page(width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The keys."""
    lines = [_blank(width)]
    lines += [
        line([Cell("", 1), Cell(keys, 14, "bold cyan"), Cell(words, width - 17)], width, dots=glyphs.dots)
        for keys, words in _HELP
    ]
    return _exactly(lines, width, height)


def log_page(job: JobStatus | None, ui: Ui, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """What is known of the job, and the last lines of its log that fit."""
    facts = job_facts(job) if job else [("job", ui.selected or "")]
    lines = [
        line([Cell(name, 8, "bold cyan"), Cell(words, width - 9, cut="middle")], width, dots=glyphs.dots)
        for name, words in facts
    ]
    lines = [*lines, _blank(width)][: max(height - 3, 0)]
    room = height - len(lines)
    log = ["Being read."] if ui.log is None else list(ui.log) or ["Nothing was logged."]
    end = max(len(log) - ui.scroll, min(room, len(log)))
    lines += [line([Cell(text, width)], width, dots=glyphs.dots) for text in log[max(end - room, 0) : end]]
    return _exactly(lines, width, height)


def _blank(width: int) -> Text:
    return Text(" " * width, end="")


def _exactly(lines: list[Text], width: int, height: int) -> list[Text]:
    return (lines + [_blank(width)] * (height - len(lines)))[:height]

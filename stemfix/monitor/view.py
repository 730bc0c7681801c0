"""page: a Snapshot and a size become exactly that many lines of exactly that width. Pure: it only draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import wrap

from rich.text import Text

from engine.queue.records import JobState
from stemfix.monitor import rows
from stemfix.monitor.cells import Cell, line, safe
from stemfix.monitor.detail import help_page, log_page
from stemfix.monitor.glyphs import UNICODE, Glyphs
from stemfix.monitor.sections import Section, arrange
from stemfix.monitor.snapshot import JobStatus, QueueStatus, Snapshot
from stemfix.monitor.ui import Ui, selected_job
from stemfix.monitor.words import engine_facts, engine_text, health_facts, job_name, queue_facts, result_facts

#: From this width on there are two columns.
_WIDE = 140
_GAP = 3
_ENGINE = {"ready": "green", "starting": "yellow", "stopping": "yellow", "silent": "red", "stopped": "red"}
_KEYS = (
    ("j/k", "select"),
    ("c", "cancel"),
    ("r", "retry"),
    ("o", "folder"),
    ("p", "page"),
    ("l", "log"),
    ("?", "help"),
    ("q", "quit"),
)


@dataclass(frozen=True)
class Size:
    """Of the terminal, in cells."""

    width: int
    height: int


def page(snapshot: Snapshot, ui: Ui, size: Size, glyphs: Glyphs = UNICODE) -> list[Text]:
    """`size.height` lines, each `size.width` cells wide."""
    head = _head(snapshot, size.width, glyphs)
    foot = _foot(snapshot, ui, size.width, glyphs)
    room = max(size.height - len(head) - len(foot), 0)
    if ui.page == "help":
        body = help_page(size.width, room, glyphs)
    elif ui.page == "log":
        body = log_page(selected_job(ui, snapshot), ui, size.width, room, glyphs)
    else:
        body = _body(snapshot, ui, Size(size.width, room), glyphs)
    return [*head, *body, *foot][: size.height]


def _body(snapshot: Snapshot, ui: Ui, size: Size, glyphs: Glyphs) -> list[Text]:
    if snapshot.queue is not None and snapshot.queue.problem:
        problem = _problem(snapshot.queue.problem, size.width, glyphs)
        return arrange([problem, *_health(snapshot, size, glyphs)], size.height)
    if size.width < _WIDE:
        return arrange(_jobs(snapshot, ui, size, glyphs) + _health(snapshot, size, glyphs), size.height)
    left = Size((size.width - _GAP) // 2, size.height)
    right = Size(size.width - _GAP - left.width, size.height)
    running, queued, _ = _jobs(snapshot, ui, left, glyphs)
    ended = _jobs(snapshot, ui, right, glyphs)[-1]
    columns = (
        arrange([running, queued], size.height, fill=left.width),
        arrange([ended, *_health(snapshot, right, glyphs)], size.height, fill=right.width),
    )
    return [
        Text.assemble(one, " " * _GAP, other, no_wrap=True, end="")
        for one, other in zip(*columns, strict=True)
    ]


def _jobs(snapshot: Snapshot, ui: Ui, size: Size, glyphs: Glyphs) -> list[Section]:
    queue, now, width = snapshot.queue, snapshot.time, size.width
    listed = queue or QueueStatus()
    roomy = width >= 70 and size.height >= 14
    draw = rows.running_lines if roomy else lambda *given: [rows.running_line(*given)]

    def section(
        name: str, facts: Sequence[str], jobs: Sequence[JobStatus], lines: int,
        drawn: Callable[[JobStatus, bool], list[Text]], total: int, least: int,
    ) -> Section:  # fmt: skip
        chosen = next((at for at, job in enumerate(jobs) if job.job_id == ui.selected), None)
        return Section(
            title=_title(name, facts, width, glyphs),
            count=len(jobs),
            total=max(total, len(jobs)),
            chosen=chosen,
            lines_each=lines,
            least=least,
            draw=lambda at: drawn(jobs[at], at == chosen),
            more=lambda number: _more(number, width, glyphs),
        )

    running = ["none"] if queue and not listed.running else []
    return [
        section(
            "Running", running, listed.running, 2 if roomy else 1,
            lambda job, chosen: draw(job, width, glyphs, chosen), listed.count(JobState.RUNNING), 4,
        ),
        section(
            "Queue", queue_facts(queue), listed.queued, 1,
            lambda job, chosen: [rows.queued_line(job, width, glyphs, chosen, now)],
            listed.count(JobState.QUEUED), 3,
        ),
        section(
            "Results", result_facts(queue), listed.ended, 1,
            lambda job, chosen: [rows.ended_line(job, width, glyphs, chosen, now)],
            listed.count(*(state for state in JobState if state.ended)), 3,
        ),
    ]  # fmt: skip


def _problem(words: str, width: int, glyphs: Glyphs) -> Section:
    """The queue's section where it can't be read."""
    lines = wrap(safe(words), max(width - 2, 1))
    return Section(
        title=_title("Queue", ["can't be read"], width, glyphs),
        count=len(lines),
        total=len(lines),
        least=len(lines),
        draw=lambda at: [line([Cell("", 1), Cell(lines[at], width - 2, rows.BAD)], width, dots=glyphs.dots)],
        more=lambda number: _more(number, width, glyphs),
    )


def _health(snapshot: Snapshot, size: Size, glyphs: Glyphs) -> list[Section]:
    def section(name: str, states: list[str], drawn: list[Text]) -> Section:
        return Section(
            title=_title(name, health_facts(states), size.width, glyphs),
            count=len(drawn),
            total=len(drawn),
            least=3,
            draw=lambda at: [drawn[at]],
            more=lambda number: _more(number, size.width, glyphs),
        )

    folders = [rows.folder_line(folder, size.width, glyphs) for folder in snapshot.folders]
    bridges = [rows.bridge_line(bridge, size.width, glyphs) for bridge in snapshot.bridges]
    return [
        section("Watched folders", [folder.state for folder in snapshot.folders], folders),
        section("Bridges", [bridge.state for bridge in snapshot.bridges], bridges),
    ]


def _head(snapshot: Snapshot, width: int, glyphs: Glyphs) -> list[Text]:
    engine, now = snapshot.engine, snapshot.time
    style = _ENGINE[engine.state]
    sign = glyphs.absent if engine.state == "stopped" else glyphs.alive
    clock = datetime.fromtimestamp(now).strftime("%H:%M:%S") if width >= 60 else ""
    first = [
        Cell("stemfix", 7, "bold"),
        Cell(sign, 1, style),
        Cell(engine_text(engine, now), width - 10 - (9 if clock else 0), style),
        Cell(clock, len(clock), rows.QUIET),
    ]
    facts = f" {glyphs.dot} ".join(engine_facts(engine, now))
    return [
        line(first, width, dots=glyphs.dots),
        line([Cell(facts, width)], width, dots=glyphs.dots),
    ]


def _foot(snapshot: Snapshot, ui: Ui, width: int, glyphs: Glyphs) -> list[Text]:
    if ui.asking is not None:
        job = selected_job(ui, snapshot)
        question = f"Cancel {job_name(job) if job else 'the job'}? y: yes, any other key: no"
        return [line([Cell(question, width, "bold yellow", cut="middle")], width, dots=glyphs.dots)]
    if ui.message:
        return [line([Cell(ui.message, width, "bold")], width, dots=glyphs.dots)]
    keys = _KEYS if ui.page == "overview" else (("j/k", "scroll"), ("q", "back"))[ui.page == "help" :]
    text = Text(no_wrap=True, overflow="crop", end="")
    for key, word in keys if width >= 66 else keys[-2:]:
        text.append(f"{key} ", "bold cyan").append(f"{word}   ", rows.QUIET)
    text.truncate(width)
    return [text.append(" " * (width - text.cell_len))]


def _title(name: str, facts: Sequence[str], width: int, glyphs: Glyphs) -> Text:
    words = safe(f" {glyphs.dot} ".join(facts))
    text = line([Cell(name, len(name), "bold cyan"), Cell(words, width)], width, dots=glyphs.dots).plain
    shown = Text(text.rstrip(), no_wrap=True, overflow="crop", end="")
    shown.stylize("bold cyan", 0, len(name))
    left = width - shown.cell_len - 1
    return shown.append(f" {glyphs.rule * left}" if left > 0 else " " * (left + 1), rows.QUIET)


def _more(number: int, width: int, glyphs: Glyphs) -> Text:
    return line([Cell("", 1), Cell(f"  {number:,} more", width - 2, rows.QUIET)], width, dots=glyphs.dots)

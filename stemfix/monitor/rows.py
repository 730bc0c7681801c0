"""One line, or two, for a job, a folder or a bridge: each function draws exactly `width` cells."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from engine.progress import STAGES
from engine.queue.records import JobState
from stemfix.monitor.cells import Cell, line, safe
from stemfix.monitor.glyphs import Glyphs
from stemfix.monitor.snapshot import BridgeStatus, FolderStatus, JobStatus
from stemfix.monitor.words import (
    HEALTHY,
    age_text,
    ago_text,
    folder_text,
    job_name,
    left_text,
    result_text,
    state_text,
)
from stemfix.text import speed_text

GOOD, WARN, BAD, QUIET = "green", "yellow", "red", "dim"
_VERDICTS = {"PASS": GOOD, "WARN": WARN, "FAIL": BAD}
#: The whole line of the selected job.
SELECTED = "bold"


def running_line(job: JobStatus, width: int, glyphs: Glyphs, chosen: bool) -> Text:
    """Everything on one line: name, stage, bar, percent, time left, speed."""
    bar = width // 4 if width >= 60 else 0
    left = 13 if width >= 50 else 0
    speed = 6 if width >= 70 else 0
    cells = [
        Cell(job_name(job), _rest(width, 1, 8, bar, 5, left, speed), cut="middle"),
        Cell(job.stage or "starting", 8, "cyan"),
        Cell(_bar(job.fraction, bar, glyphs), bar, "cyan"),
        Cell(f"{job.fraction:.0%}", 5, right=True),
        Cell(left_text(job), left, right=True),
        Cell(speed_text(job.speed_x_realtime), speed, right=True),
    ]
    return _job_line(cells, width, glyphs, chosen)


def running_lines(job: JobStatus, width: int, glyphs: Glyphs, chosen: bool) -> list[Text]:
    """The job, and below it its stages: those done, the current one with its bar, those to come."""
    origin = 24 if width >= 90 else 17
    cells = [
        Cell(job_name(job), _rest(width, 1, origin, 6, 13, 5), cut="middle"),
        Cell(f"{job.client}, {job.preset}", origin, QUIET),
        Cell(speed_text(job.speed_x_realtime), 6, right=True),
        Cell(left_text(job), 13, right=True),
        Cell(f"{job.fraction:.0%}", 5, right=True),
    ]
    return [_job_line(cells, width, glyphs, chosen), _stages(job, width, glyphs)]


def queued_line(job: JobStatus, width: int, glyphs: Glyphs, chosen: bool, now: float) -> Text:
    """Priority, name, preset, who it is from, and how long it waits."""
    preset = 14 if width >= 60 else 0
    client = 8 if width >= 90 else 0
    cells = [
        Cell(job.priority, 7, QUIET if job.priority == "batch" else ""),
        Cell(job_name(job), _rest(width, 1, 7, preset, client, 7), cut="middle"),
        Cell(job.preset, preset, QUIET, cut="middle"),
        Cell(job.client, client, QUIET),
        Cell(age_text(now - job.created_at), 7, QUIET, right=True),
    ]
    return _job_line(cells, width, glyphs, chosen)


def ended_line(job: JobStatus, width: int, glyphs: Glyphs, chosen: bool, now: float) -> Text:
    """A sign, the alignment's verdict or how it ended, name, null depth or reason, and its age."""
    done = job.state is JobState.DONE
    word = (job.verdict or "done") if done else state_text(job.state)
    sign = glyphs.done if done else glyphs.stopped if job.state is JobState.CANCELLED else glyphs.failed
    style = _VERDICTS.get(word, GOOD) if done else QUIET if job.state is JobState.CANCELLED else BAD
    words = result_text(job)
    age = 10 if width >= 60 else 0
    room = _rest(width, 1, 1, 9, age)
    result = 0 if room < 30 else 15 if done or not words else max(room - 24, room // 2)
    cells = [
        Cell(sign, 1, style),
        Cell(word, 9, style),
        Cell(job_name(job), _rest(width, 1, 1, 9, result, age), cut="middle"),
        Cell(words, result, "" if done else style),
        Cell(ago_text(now - job.ended_at) if job.ended_at else "", age, QUIET, right=True),
    ]
    return _job_line(cells, width, glyphs, chosen)


def folder_line(folder: FolderStatus, width: int, glyphs: Glyphs) -> Text:
    """Health, path, and what became of its files."""
    return _health_line(folder.state, folder.folder, folder_text(folder), width, glyphs)


def bridge_line(bridge: BridgeStatus, width: int, glyphs: Glyphs) -> Text:
    """Health, name, and what there is to say."""
    words = f"{bridge.state}: {bridge.message}".removesuffix(": ")
    return _health_line(bridge.state, bridge.name, words, width, glyphs)


def _health_line(state: str, name: str, words: str, width: int, glyphs: Glyphs) -> Text:
    style = GOOD if state in HEALTHY else BAD if state == "error" else WARN
    words = safe(words)
    room = _rest(width, 1, 1) - 1
    share = min(cell_len(safe(name)), max(room - 1 - cell_len(words), room // 2))
    cells = [
        Cell(glyphs.alive if style == GOOD else glyphs.absent, 1, style),
        Cell(name, share, cut="start"),
        Cell(words, room - share - 1, QUIET if style == GOOD else style, right=True),
    ]
    return _job_line(cells, width, glyphs, False)


def _job_line(cells: list[Cell], width: int, glyphs: Glyphs, chosen: bool) -> Text:
    marker = Cell(glyphs.selected if chosen else " ", 1, "bold cyan")
    return line([marker, *cells], width, dots=glyphs.dots, style=SELECTED if chosen else "")


def _rest(width: int, *others: int) -> int:
    """What is left of a line for the one cell beside the others; those of no width take no space."""
    return width - sum(others) - sum(size > 0 for size in others)


def _stages(job: JobStatus, width: int, glyphs: Glyphs) -> Text:
    current = STAGES.index(job.stage) if job.stage else 0
    words = [f"{glyphs.done} {name}" if at < current else name for at, name in enumerate(STAGES)]
    units = f"{job.stage_done}/{job.stage_total}" if 1 < job.stage_total < 100 else ""
    room = width - 4 - sum(len(word) for word in words) - 2 * (len(STAGES) - 1) - len(units) - 2
    fraction = min(job.stage_done / job.stage_total, 1.0) if job.stage_total else 0.0
    text = Text("    ", no_wrap=True, overflow="crop", end="")
    for at, word in enumerate(words):
        if at != current:
            text.append(word, GOOD if at < current else QUIET)
        else:
            text.append(word, "bold")
            if room >= 4:
                full = _bar(fraction, room, glyphs)
                filled = full.count(glyphs.bar)
                text.append(" ").append(full[:filled], "cyan").append(full[filled:], QUIET)
                text.append(f" {units}" if units else "")
        text.append("  ")
    text.truncate(width)
    text.append(" " * (width - text.cell_len))
    return text


def _bar(fraction: float, width: int, glyphs: Glyphs) -> str:
    filled = min(max(round(fraction * width), 0), width)
    return glyphs.bar * filled + glyphs.bar_rest * (width - filled)

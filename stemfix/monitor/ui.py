"""Ui: what the user did to the monitor (selection, page, question), and what a key changes about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stemfix.monitor.snapshot import JobStatus, Snapshot
from stemfix.monitor.words import job_name

Page = Literal["overview", "log", "help"]
Verb = Literal["quit", "cancel", "retry", "open", "page", "log"]


@dataclass(frozen=True)
class Ui:
    """Everything that is not the service's state."""

    page: Page = "overview"
    #: The selected job's id.
    selected: str | None = None
    #: False until the user did something: then the first job is selected, whichever that is.
    chosen: bool = False
    #: Its place on the screen, which the selection falls back on when the job is gone.
    place: int = 0
    #: The job that is cancelled if the next key is `y`.
    asking: str | None = None
    #: One line at the bottom until the next key.
    message: str = ""
    #: Of the selected job, on the page `log`; None until it was read.
    log: Sequence[str] | None = None
    #: Lines of the log below the last one that is shown.
    scroll: int = 0


@dataclass(frozen=True)
class Request:
    """What the monitor should do for the user."""

    verb: Verb
    job: JobStatus | None = None


def follow(ui: Ui, snapshot: Snapshot) -> Ui:
    """`ui` with a selection that exists: the same job where it still is, else what took its place."""
    jobs = snapshot.queue.jobs if snapshot.queue else ()
    for place, job in enumerate(jobs if ui.chosen else ()):
        if job.job_id == ui.selected:
            return ui if place == ui.place else replace(ui, place=place)
    if not jobs or ui.page == "log":
        return ui
    place = min(ui.place, len(jobs) - 1) if ui.chosen else 0
    return replace(ui, selected=jobs[place].job_id, place=place)


def selected_job(ui: Ui, snapshot: Snapshot) -> JobStatus | None:
    """The selected job, if it is still listed."""
    jobs = snapshot.queue.jobs if snapshot.queue else ()
    return next((job for job in jobs if job.job_id == ui.selected), None)


def press(ui: Ui, key: str, snapshot: Snapshot) -> tuple[Ui, Request | None]:
    """What a key does: the new `ui`, and what is to be done."""
    job = selected_job(ui, snapshot)
    if ui.asking is not None:
        asked, ui = ui.asking, replace(ui, asking=None)
        yes = key == "y" and job is not None and job.job_id == asked
        return (ui, Request("cancel", job)) if yes else (replace(ui, message="Nothing was cancelled."), None)
    ui = replace(ui, message="")
    if ui.page != "overview":
        return _on_a_page(ui, key)
    if key in ("q", "esc"):
        return ui, Request("quit")
    if key == "?":
        return replace(ui, page="help"), None
    if key in _STEPS:
        return _moved(ui, snapshot, _STEPS[key]), None
    if key not in "cropl":
        return ui, None
    if job is None:
        return replace(ui, message="There is no job to choose."), None
    ui = replace(ui, chosen=True)
    if key == "c":
        if job.state.ended:
            return replace(ui, message=f"{job_name(job)} has ended already."), None
        return replace(ui, asking=job.job_id), None
    if key == "r":
        if not job.state.ended:
            return replace(ui, message=f"{job_name(job)} has not ended yet."), None
        return ui, Request("retry", job)
    if key == "l":
        return replace(ui, page="log", log=None, scroll=0), Request("log", job)
    if key == "p":
        if job.state.value != "done":
            return replace(ui, message=f"{job_name(job)} has no results."), None
        return ui, Request("page", job)
    return ui, Request("open", job)


_STEPS = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -10, "pagedown": 10, "home": -(10**6), "end": 10**6}


def _on_a_page(ui: Ui, key: str) -> tuple[Ui, Request | None]:
    if key in _STEPS and ui.page == "log":
        furthest = max(len(ui.log or ()) - 1, 0)
        return replace(ui, scroll=min(max(ui.scroll - _STEPS[key], 0), furthest)), None
    if key in ("q", "esc", "l", "?", "enter"):
        return replace(ui, page="overview", log=None), None
    return ui, None


def _moved(ui: Ui, snapshot: Snapshot, step: int) -> Ui:
    jobs = snapshot.queue.jobs if snapshot.queue else ()
    if not jobs:
        return ui
    place = min(max(ui.place + step, 0), len(jobs) - 1)
    return replace(ui, selected=jobs[place].job_id, place=place, chosen=True)

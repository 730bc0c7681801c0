from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stemfix.monitor.keys import parse
from stemfix.monitor.snapshot import QueueStatus, Snapshot
from stemfix.monitor.ui import Request, Ui, follow, press, selected_job

MakeSnapshot = Callable[..., Snapshot]


def typed(keys: list[str], snapshot: Snapshot, ui: Ui | None = None) -> tuple[Ui, list[Request]]:
    """What the keys come to."""
    ui, requests = follow(ui or Ui(), snapshot), []
    for key in keys:
        ui, request = press(ui, key, snapshot)
        requests += [request] if request else []
    return ui, requests


def without(snapshot: Snapshot, job_id: str) -> Snapshot:
    queue = snapshot.queue
    assert queue is not None
    lists = {
        name: tuple(job for job in getattr(queue, name) if job.job_id != job_id)
        for name in ("running", "queued", "ended")
    }
    return snapshot.model_copy(update={"queue": queue.model_copy(update=lists)})


@pytest.mark.parametrize(
    ("keys", "job_id"),
    [
        ([], "job-0001"),
        (["j"], "job-0002"),
        (["down", "down"], "job-0100"),
        (["down", "j", "k", "up"], "job-0001"),
        (["up"], "job-0001"),
        (["end"], "job-1039"),
        (["end", "j"], "job-1039"),
        (["end", "home"], "job-0001"),
        (["pagedown"], "job-0108"),
    ],
)
def test_keys_move_the_selection(make_snapshot: MakeSnapshot, keys: list[str], job_id: str) -> None:
    assert typed(keys, make_snapshot())[0].selected == job_id


def test_a_job_is_cancelled_only_after_a_yes(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    for no in ("n", "c", "q", "esc", "j"):
        ui, requests = typed(["c", no], snapshot)
        assert requests == []
        assert ui.message == "Nothing was cancelled."
        assert ui.asking is None
    ui, requests = typed(["j", "c", "y"], snapshot)
    assert [(request.verb, request.job.job_id) for request in requests if request.job] == [
        ("cancel", "job-0002")
    ]


def test_the_yes_counts_for_the_job_that_was_asked_about(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    ui, _ = typed(["c"], snapshot)
    later = without(snapshot, "job-0001")
    assert typed(["y"], later, ui)[1] == []


@pytest.mark.parametrize(("key", "verb"), [("o", "open"), ("l", "log"), ("r", "retry")])
def test_keys_ask_for_what_they_stand_for(make_snapshot: MakeSnapshot, key: str, verb: str) -> None:
    _, requests = typed(["end", key], make_snapshot())
    assert [(request.verb, request.job.job_id) for request in requests if request.job] == [(verb, "job-1039")]


def test_what_makes_no_sense_is_said_and_not_done(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    assert typed(["r"], snapshot) == (typed(["r"], snapshot)[0], [])
    assert typed(["r"], snapshot)[0].message == "song.wav has not ended yet."
    assert typed(["end", "c"], snapshot)[0].message == "39 song.wav has ended already."
    for empty in (make_snapshot(queue=None), make_snapshot(queue=QueueStatus())):
        for key in "crol":
            ui, requests = typed([key, "j"], empty)
            assert requests == []
            assert ui.page == "overview"


def test_pages_open_scroll_and_close(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    for keys in (["?", "q"], ["?", "esc"], ["l", "q"], ["l", "esc"], ["?", "?"]):
        ui, requests = typed(keys, snapshot)
        assert ui.page == "overview"
        assert [request.verb for request in requests if request.verb == "quit"] == []
    log = Ui(page="log", selected="job-0001", chosen=True, log=["line"] * 30)
    assert typed(["k", "k"], snapshot, log)[0].scroll == 2
    assert typed(["home"], snapshot, log)[0].scroll == 29
    assert typed(["home", "end"], snapshot, log)[0].scroll == 0


@pytest.mark.parametrize("key", ["q", "esc"])
def test_quit(make_snapshot: MakeSnapshot, key: str) -> None:
    assert typed([key], make_snapshot())[1] == [Request("quit")]


def test_the_selection_stays_with_its_job_and_else_with_its_place(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    ui, _ = typed(["j", "j", "j"], snapshot)
    assert ui.selected == "job-0101"
    moved = without(snapshot, "job-0001")
    ui = follow(ui, moved)
    assert (ui.selected, ui.place) == ("job-0101", 2)
    ui = follow(ui, without(moved, "job-0101"))
    assert (ui.selected, ui.place) == ("job-0102", 2)
    job = selected_job(ui, snapshot)
    assert job is not None
    assert job.job_id == "job-0102"


def test_until_the_user_chooses_the_first_job_is_selected(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    ui = follow(Ui(), snapshot)
    assert follow(ui, without(snapshot, "job-0001")).selected == "job-0002"
    empty: Any = make_snapshot(queue=QueueStatus())
    assert follow(Ui(), empty).selected is None


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("jk?", ["j", "k", "?"]),
        ("\x1b[A\x1b[B\x1bOA", ["up", "down", "up"]),
        ("\x1b[5~\x1b[6~\x1b[H\x1b[4~", ["pageup", "pagedown", "home", "end"]),
        ("\x1b", ["esc"]),
        ("\x1b[1;5Cj", ["j"]),
        ("\x1b[200", []),
        ("\r\n", ["enter", "enter"]),
        ("\x00\x07é", ["é"]),
        ("", []),
    ],
)
def test_what_terminals_send(sent: str, keys: list[str]) -> None:
    assert parse(sent) == keys

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from engine.queue.records import JobState
from stemfix.monitor.cells import fit
from stemfix.monitor.glyphs import ASCII, UNICODE, Glyphs, glyphs_for
from stemfix.monitor.snapshot import EngineStatus, QueueStatus, Snapshot
from stemfix.monitor.ui import Ui, follow
from stemfix.monitor.view import Size, page

NOBODY = Ui()
MakeSnapshot = Callable[..., Snapshot]
SIZES = [(80, 24), (200, 60), (40, 10), (139, 24), (140, 24), (20, 5), (7, 3), (1, 1), (300, 120)]
NAMES = [
    "song.wav",
    "Ein Lied, dessen Name " + "sehr, " * 40 + "sehr lang ist (Take 12).wav",
    "🎸🎸🎸 長い名前の曲 한국어 ❤️ 👩‍👩‍👧.flac",
    "עברית العربية \u202etxet.wav",
    "tab\there\nline\x1b[2J\r.wav",
    "e\u0301\u0301\u0301 o\u0308.wav",
    "[bold]markup[/bold] :smile: \\.wav",
    "",
]


def drawn(
    snapshot: Snapshot, ui: Ui = NOBODY, size: tuple[int, int] = (80, 24), glyphs: Glyphs = UNICODE
) -> str:
    return "\n".join(line.plain for line in page(snapshot, ui, Size(*size), glyphs))


def on_a_terminal(snapshot: Snapshot, ui: Ui, size: tuple[int, int], **settings: Any) -> str:
    """What is written to a terminal of that size."""
    console = Console(
        file=io.StringIO(), width=size[0], height=size[1], force_terminal=True, markup=False, **settings
    )
    for line in page(snapshot, ui, Size(*size)):
        console.print(line, soft_wrap=True, end="\n")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["overview", "log", "help", "asking", "message"])
def test_every_page_fills_the_terminal_exactly(
    make_snapshot: MakeSnapshot, name: str, size: tuple[int, int], kind: str
) -> None:
    snapshot = make_snapshot(name)
    pages = {
        "overview": Ui(selected="job-0100"),
        "log": Ui(page="log", selected="job-1001", log=[f"12:00:00 {name}"] * 50, scroll=3),
        "help": Ui(page="help"),
        "asking": Ui(selected="job-0001", asking="job-0001"),
        "message": Ui(message=f"{name} is in the queue again."),
    }
    lines = page(snapshot, pages[kind], Size(*size))
    assert len(lines) == size[1]
    assert {cell_len(line.plain) for line in lines} <= {size[0], 0}
    text = "".join(line.plain for line in lines)
    assert not any(ord(character) < 32 or character in "\x7f\u202e\u200d\ufe0f" for character in text)
    written = on_a_terminal(snapshot, pages[kind], size)
    assert written.count("\n") == size[1]


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
def test_the_selected_job_is_always_seen(make_snapshot: MakeSnapshot, size: tuple[int, int]) -> None:
    snapshot = make_snapshot()
    assert snapshot.queue is not None
    for job in snapshot.queue.jobs:
        marked = [
            line
            for line in drawn(snapshot, Ui(selected=job.job_id, chosen=True), size).splitlines()
            if UNICODE.selected in line
        ]
        assert len(marked) == 1


def test_at_80_by_24_everything_is_there(make_snapshot: MakeSnapshot) -> None:
    shown = drawn(make_snapshot("a song.wav", jobs=6), Ui(selected="job-0001"))
    for words in (
        "engine ready for 2 h",
        "cuda · htdemucs warm · 3.1 GB used · 8.4 GB free",
        "❯ a song.wav",
        "reaper, balanced",
        "12.4x",
        "0:42 left",
        "55%",
        "✓ read  ✓ repair  separate ━",
        "14/23  enhance  align  publish",
        "✓ read  ✓ repair  ✓ separate  enhance ━",
        "9,873 waiting · 1 daw · 4 watched · 9,868 batch",
        "412 done · 3 failed · 1 gave up · 2 cancelled",
        "✓ PASS      0 a song.wav",
        "null -141.2 dB",
        "✗ failed    1 a song.wav",
        "The file song.mp3",
        "Watched folders 3 · 1 missing · 1 error",
        "● /drop/a song.wav",
        "140 done, 2 waiting, 1 failed",
        "○ /media/usb",
        "missing: it is waited for",
        "error: permission denied",
        "● reaper",
        "waiting: Ardour does not run",
        "q quit",
    ):
        assert words in shown, words


def test_a_wide_terminal_shows_every_end(make_snapshot: MakeSnapshot) -> None:
    shown = drawn(make_snapshot(jobs=6), size=(200, 60))
    for words in ("✓ PASS", "✗ failed", "✓ WARN", "– cancelled", "✗ gave up", "✓ FAIL", "stopped the engine"):
        assert words in shown
    assert len([line for line in shown.splitlines() if "Running" in line and "Results" in line]) == 1


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (EngineStatus(state="stopped"), ["○ engine stopped ", "stemfix up", "Jobs wait in the queue"]),
        (EngineStatus(state="stopped", since=1_800_000_000.0 - 190), ["engine stopped 3 min ago"]),
        (EngineStatus(state="starting"), ["● engine starting"]),
        (EngineStatus(state="stopping"), ["● engine stopping"]),
        (EngineStatus(state="silent", pid=17), ["engine silent", "process 17 does not answer"]),
        (EngineStatus(state="ready", device="cpu", model="htdemucs"), ["cpu · htdemucs cold"]),
        (EngineStatus(state="ready", device="auto"), ["device not chosen yet · no model loaded"]),
    ],
)
def test_the_engine_in_every_state(
    make_snapshot: MakeSnapshot, engine: EngineStatus, words: list[str]
) -> None:
    shown = drawn(make_snapshot(engine=engine))
    for word in words:
        assert word in shown


def test_before_the_queue_was_read_and_when_it_cannot_be(make_snapshot: MakeSnapshot) -> None:
    assert "Queue being read" in drawn(make_snapshot(queue=None))
    problem = "The queue /data/queue.sqlite can't be used: " + "there is no space, " * 8 + "and that is all."
    broken = make_snapshot(queue=QueueStatus(problem=problem))
    for size in SIZES:
        lines = page(broken, NOBODY, Size(*size))
        assert len(lines) == size[1]
        assert {cell_len(line.plain) for line in lines} <= {size[0], 0}
    shown = " ".join(drawn(broken).split())
    assert "Queue can't be read" in shown
    assert problem in shown


def test_an_idle_service_says_so(make_snapshot: MakeSnapshot) -> None:
    shown = drawn(make_snapshot(queue=QueueStatus(), folders=(), bridges=()))
    for words in ("Running none", "Queue empty", "Results none yet", "Watched folders none", "Bridges none"):
        assert words in shown


def test_ascii_is_enough(make_snapshot: MakeSnapshot) -> None:
    for size in SIZES:
        assert drawn(make_snapshot("a long name " * 20), Ui(selected="job-0100"), size, ASCII).isascii()
    assert glyphs_for("utf-8") is UNICODE
    assert glyphs_for("ascii") is glyphs_for("latin-1") is glyphs_for(None) is ASCII


def test_without_colour_nothing_is_lost(make_snapshot: MakeSnapshot) -> None:
    snapshot, ui = make_snapshot(), Ui(selected="job-0001")
    coloured = on_a_terminal(snapshot, ui, (80, 24), color_system="standard")
    assert "\x1b[32m" in coloured
    for sober in ({"no_color": True}, {"color_system": None}):
        written = on_a_terminal(snapshot, ui, (80, 24), **sober)
        assert not any(f"\x1b[{number}m" in written for number in range(30, 50))
        assert "❯ song.wav" in "".join(part.partition("m")[2] for part in f"m{written}".split("\x1b["))


def test_a_name_is_cut_in_its_middle(make_snapshot: MakeSnapshot) -> None:
    shown = drawn(make_snapshot("The beginning " + "of it all " * 20 + "take 12.wav"))
    line = next(line for line in shown.splitlines() if "reaper" in line)
    assert line.strip().startswith("The beginning")
    assert "…" in line
    assert "12.wav" in line


@pytest.mark.parametrize("text", ["", "song", "長い名前の曲", "a長b", "🎸" * 9, "e\u0301" * 9])
@pytest.mark.parametrize("cut", ["start", "middle", "end"])
def test_fit_is_exact_in_any_width(text: str, cut: Any) -> None:
    for width in range(20):
        assert cell_len(fit(text, width, cut=cut)) == width
        assert cell_len(fit(text, width, cut=cut, right=True)) == width


def test_the_list_says_how_many_it_leaves_out(make_snapshot: MakeSnapshot) -> None:
    shown = drawn(make_snapshot())
    queued = [line for line in shown.splitlines() if line.startswith("  batch")]
    assert f"{9873 - len(queued):,} more" in shown


def test_the_log_page_shows_the_job_and_the_end_of_its_log(make_snapshot: MakeSnapshot) -> None:
    log = [f"12:00:{at:02} line {at}" for at in range(60)]
    ui = Ui(page="log", selected="job-1001", chosen=True, log=log)
    shown = drawn(make_snapshot(), ui)
    for words in ("job-1001", "/music/1 song.wav", "failed, The file song.mp3 is cut off.", "line 59"):
        assert words in shown
    assert "line 1\n" not in shown
    top = drawn(make_snapshot(), Ui(page="log", selected="job-1001", chosen=True, log=log, scroll=59))
    assert "line 0" in top
    assert "line 59" not in top


def test_the_state_of_a_job_reaches_the_screen_from_its_id(make_snapshot: MakeSnapshot) -> None:
    snapshot = make_snapshot()
    ui = follow(Ui(), snapshot)
    assert ui.selected == "job-0001"
    assert JobState.RUNNING.value in drawn(snapshot, Ui(page="log", selected="job-0001", chosen=True))

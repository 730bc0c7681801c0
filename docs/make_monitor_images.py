"""Draw the monitor for the manual, as rich's own SVG export of what it shows on a terminal.

python docs/make_monitor_images.py           pictures of a made-up service, always the same
python docs/make_monitor_images.py --live    the same sizes of the service on this computer
"""

from __future__ import annotations

import io
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from engine.queue.records import JobState
from stemfix.monitor.snapshot import (
    BridgeStatus,
    EngineStatus,
    FolderStatus,
    JobStatus,
    QueueStatus,
    Snapshot,
)
from stemfix.monitor.ui import Ui, follow
from stemfix.monitor.view import Size, page

IMAGES = Path(__file__).with_name("images")
#: An afternoon; pictures show times in UTC.
NOW = 1_790_000_000.0
DONE, FAILED, CANCELLED = JobState.DONE, JobState.FAILED, JobState.CANCELLED
QUEUED, RUNNING = JobState.QUEUED, JobState.RUNNING


def job(name: str, state: JobState, priority: str, client: str, age_s: float, **fields: Any) -> JobStatus:
    """A job whose recording is called `name`."""
    ended = {"ended_at": NOW - age_s} if state.ended else {}
    return JobStatus(
        **{
            "job_id": f"20260921-141320-{int(age_s):03}-5e3a91c7",
            "state": state,
            "priority": priority,
            "client": client,
            "source": f"/home/maria/Music/{name}",
            "preset": "balanced",
            "model": "htdemucs",
            "created_at": NOW - age_s,
            "folder": f"/home/maria/Music/{Path(name).stem}.stemfix",
            **ended,
            **fields,
        }
    )


def busy() -> Snapshot:
    """An engine with something of everything."""
    album = ("Harbour Lights", "Slow Train", "Paper Boats", "Winter Coat", "Nightjar", "Low Tide", "Home")
    done = {"verdict": "PASS"}
    ended = [
        job("bounce 12.wav", DONE, "daw", "reaper", 34, **done, null_rms_db=-175.8),
        job("Marché aux puces.flac", DONE, "watched", "watch", 131, **done, null_rms_db=-176.9),
        job(
            "interview.mp3",
            FAILED,
            "watched",
            "watch",
            170,
            message="interview.mp3 is cut off. Copy it again.",
        ),
        job("room tone.wav", DONE, "batch", "cli", 420, verdict="WARN", null_rms_db=-173.8),
        job("Größer.wav", DONE, "batch", "cli", 660, **done, null_rms_db=-178.3),
        job("wrong take.wav", CANCELLED, "daw", "ardour", 900),
        *(
            job(
                f"{at:02} {name}.wav",
                DONE,
                "batch",
                "cli",
                1000 + 240 * at,
                **done,
                null_rms_db=-174.0 - at / 3,
            )
            for at, name in enumerate(album, start=1)
        ),
    ]
    separating = {"stage": "separate", "stage_done": 14, "stage_total": 23, "fraction": 0.49, "eta_s": 19}
    enhancing = {"stage": "enhance", "stage_done": 2, "stage_total": 5, "fraction": 0.85, "eta_s": 6}
    running = [
        job("Evening Take 3.wav", RUNNING, "daw", "reaper", 21, **separating, speed_x_realtime=12.4),
        job("Old Tape Side B.flac", RUNNING, "watched", "watch", 60, **enhancing, speed_x_realtime=10.1),
    ]
    queued = [
        job("Evening Take 4.wav", QUEUED, "daw", "reaper", 9),
        job("Old Tape Side C.flac", QUEUED, "watched", "watch", 45, preset="maximum"),
        *(job(f"Live {1994 + at}.wav", QUEUED, "batch", "cli", 300 + at) for at in range(14)),
    ]
    return Snapshot(
        time=NOW,
        data_dir="/home/maria/.local/share/stemfix",
        engine=EngineStatus(
            state="ready",
            since=NOW - 7980,
            pid=4242,
            device="cuda",
            model="htdemucs",
            warm=True,
            memory_used_bytes=3_100_000_000,
            memory_free_bytes=8_900_000_000,
        ),
        queue=QueueStatus(
            counts={QUEUED: 16, RUNNING: 2, DONE: 412, FAILED: 3, CANCELLED: 1},
            waiting_by_priority={"daw": 1, "watched": 1, "batch": 14},
            running=tuple(running),
            queued=tuple(queued),
            ended=tuple(ended),
        ),
        folders=(
            FolderStatus(
                folder="/home/maria/Drop", state="watching", waiting=2, queued=2, done=140, failed=1
            ),
            FolderStatus(folder="/media/maria/TAPES", state="missing", message="it is waited for"),
        ),
        bridges=(
            BridgeStatus(name="reaper", state="connected"),
            BridgeStatus(name="ardour", state="waiting", message="Ardour does not run"),
        ),
    )


def stopped() -> Snapshot:
    """The same service after its engine has stopped."""
    before = busy()
    assert before.queue is not None
    counts = {**before.queue.counts, RUNNING: 0}
    return before.model_copy(
        update={
            "engine": EngineStatus(state="stopped", since=NOW - 190),
            "queue": before.queue.model_copy(update={"running": (), "counts": counts}),
            "folders": tuple(
                folder.model_copy(update={"state": "stopped", "message": "nobody watches it now"})
                for folder in before.folders
            ),
        }
    )


def live() -> Snapshot:
    """What the service of this computer is doing."""
    from stemfix.monitor.feed import take_snapshot
    from stemfix.queue_access import open_queue

    with open_queue() as jobs:
        return take_snapshot(jobs)


def draw(name: str, snapshot: Snapshot, width: int, height: int, down: int = 0) -> None:
    """Write `monitor-NAME.svg`, with the selection moved down so often."""
    console = Console(record=True, width=width, height=height, file=io.StringIO(), force_terminal=True)
    ui = follow(Ui(place=down, chosen=True), snapshot)
    for line in page(snapshot, ui, Size(width, height)):
        console.print(line, end="\n", soft_wrap=True, highlight=False)
    # The exported page would fetch a font from the network; any font with letters of one width does.
    without_fonts = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    picture = console.export_svg(
        title="stemfix status", code_format=without_fonts, unique_id=f"monitor-{name}"
    )
    text = "\n".join(row.rstrip() for row in picture.splitlines()).rstrip()
    (IMAGES / f"monitor-{name}.svg").write_text(f"{text}\n", encoding="utf-8")


def main() -> int:
    """Draw all pictures."""
    if "--live" not in sys.argv:
        os.environ["TZ"] = "UTC"
        if hasattr(time, "tzset"):
            time.tzset()
    snapshot = live() if "--live" in sys.argv else busy()
    draw("80x24", snapshot, 80, 24)
    draw("160x30", snapshot, 160, 30)
    if "--live" not in sys.argv:
        draw("stopped", stopped(), 80, 24)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""10,000 files at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil

from engine.queue.records import JobState

FILES = 10_000


def test_all_are_queued_and_none_twice_while_memory_stays_flat(
    bench: Callable[..., Any], audio: Callable[..., bytes]
) -> None:
    b = bench(stable_looks=2)
    data = audio(seconds=0.02, rate=8000)
    for number in range(FILES):
        (b.folder / f"{number}.wav").write_bytes(data[:-4] + number.to_bytes(4, "little"))
    b.pass_s(3)
    process = psutil.Process()
    before = process.memory_info().rss
    most_waiting = 0
    restarted = False
    taken: list[str] = []
    for _ in range(1000):
        b.clock.now += 2
        b.watch.tick()
        still_open = set(b.ledger.open_jobs(str(b.folder)))
        for job_id in [job_id for job_id in b.queue.records if job_id not in still_open]:
            del b.queue.records[job_id]
        waiting = [job_id for job_id in still_open if b.queue.records[job_id].state is JobState.QUEUED]
        most_waiting = max(most_waiting, len(waiting))
        for job_id in waiting:
            taken.append(b.queue.records[job_id].spec.source.name)
            b.queue.cancel(job_id)
        if not restarted and len(taken) > FILES / 2:
            restarted = True
            b.restart()
        if len(taken) == FILES and not still_open:
            break
    assert restarted
    assert most_waiting <= b.settings.max_queued
    assert len(b.queue.submissions) == len(set(b.queue.submissions)) == FILES
    assert len(set(taken)) == FILES
    assert b.watch.status().waiting == 0
    assert process.memory_info().rss - before < 25e6

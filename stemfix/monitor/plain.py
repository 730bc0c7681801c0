"""text: a Snapshot as plain lines, for a pipe, a log, or a terminal that can't do more."""

from __future__ import annotations

from collections.abc import Iterator

from stemfix.monitor.cells import safe
from stemfix.monitor.snapshot import JobStatus, Snapshot
from stemfix.monitor.words import (
    age_text,
    ago_text,
    engine_facts,
    engine_text,
    folder_text,
    job_name,
    left_text,
    queue_facts,
    result_facts,
    result_text,
    state_text,
)
from stemfix.text import speed_text

#: Jobs listed per section.
_LISTED = 10


def text(snapshot: Snapshot) -> str:
    """Some lines that say it all; names are never cut."""
    return "\n".join(safe(line) for line in _lines(snapshot))


def _lines(snapshot: Snapshot) -> Iterator[str]:
    now, queue = snapshot.time, snapshot.queue
    yield _sentence(engine_text(snapshot.engine, now))
    yield f"  {', '.join(engine_facts(snapshot.engine, now))}"
    if queue is not None and queue.problem:
        yield f"Queue: {queue.problem}"
    elif queue is not None:
        yield f"Running: {len(queue.running) or 'none'}"
        yield from map(_running, queue.running)
        yield f"Queue: {', '.join(queue_facts(queue))}"
        yield from (_queued(job, now) for job in queue.queued[:_LISTED])
        yield f"Results: {', '.join(result_facts(queue))}"
        yield from (_ended(job, now) for job in queue.ended[:_LISTED])
    yield f"Watched folders: {len(snapshot.folders) or 'none'}"
    for folder in snapshot.folders:
        yield f"  {folder.folder}: {folder_text(folder)}"
    yield f"Bridges: {len(snapshot.bridges) or 'none'}"
    for bridge in snapshot.bridges:
        yield f"  {bridge.name}: {bridge.state}{_reason(bridge.message)}"


def _running(job: JobStatus) -> str:
    stage = job.stage or "starting"
    speed = speed_text(job.speed_x_realtime)
    return f"  {job.fraction:4.0%}  {stage}  {left_text(job)}  {speed}  {job_name(job)}  ({job.job_id})"


def _queued(job: JobStatus, now: float) -> str:
    waits = age_text(now - job.created_at)
    return f"  {job.priority}  {job_name(job)}  {job.preset}, from {job.client}, {waits}  ({job.job_id})"


def _ended(job: JobStatus, now: float) -> str:
    ended = f"  {ago_text(now - job.ended_at)}" if job.ended_at else ""
    end = f"{state_text(job.state)}{_reason(job.verdict or '')}"
    return f"  {end}  {job_name(job)}{_reason(result_text(job))}{ended}  ({job.job_id})"


def _reason(message: str) -> str:
    return f"  {message}" if message else ""


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]

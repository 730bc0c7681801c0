"""How the monitor names things: states, ages, levels; shared by the live view and the plain text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePath

from engine.queue.records import JobState
from stemfix.monitor.snapshot import EngineStatus, FolderStatus, JobStatus, QueueStatus
from stemfix.text import bytes_text, clock_text, number_text

#: How to start the service, said wherever it does not run.
HOW_TO_START = "Start it: stemfix up"

#: States of folders and bridges that need no attention.
HEALTHY = ("watching", "connected", "ready")
_STATES = {JobState.GAVE_UP: "gave up"}
_PRIORITIES = ("daw", "watched", "batch")


def state_text(state: JobState) -> str:
    """Such as `gave up`."""
    return _STATES.get(state, state.value)


def age_text(seconds: float) -> str:
    """About how long: `now`, `40 s`, `5 min`, `3 h`, `2 d`."""
    for limit, unit, name in ((1, 0, ""), (60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds / unit)} {name}" if unit else "now"
    return f"{int(seconds / 86400)} d"


def ago_text(seconds: float) -> str:
    """Such as `5 min ago`."""
    age = age_text(seconds)
    return age if age == "now" else f"{age} ago"


def job_name(job: JobStatus) -> str:
    """The file's name without its folder."""
    return PurePath(job.source).name or job.source


def result_text(job: JobStatus) -> str:
    """What came of an ended job: the depth of its null, or why it failed."""
    if job.state is JobState.DONE:
        return "" if job.null_rms_db is None else f"null {number_text(job.null_rms_db, 1)} dB"
    if job.state is JobState.GAVE_UP and not job.message:
        return "It stopped the engine three times."
    return "" if job.state is JobState.CANCELLED else job.message


def left_text(job: JobStatus) -> str:
    """Such as `0:42 left`."""
    return f"{clock_text(job.eta_s)} left"


def engine_text(engine: EngineStatus, now: float) -> str:
    """Such as `engine ready for 5 min` or `engine stopped 3 h ago`."""
    if engine.since is None:
        return f"engine {engine.state}"
    age = age_text(max(now - engine.since, 1.0))
    return f"engine {engine.state} {f'{age} ago' if engine.state == 'stopped' else f'for {age}'}"


def engine_facts(engine: EngineStatus, now: float) -> list[str]:
    """Device, model and memory; of an engine that does not answer, what to do."""
    if engine.state == "stopped":
        return [f"{HOW_TO_START}. Jobs wait in the queue until then."]
    if engine.state == "silent":
        return [f"process {engine.pid} does not answer", "if that lasts, stop it and start it again"]
    known = engine.device not in (None, "auto")
    facts = [f"{engine.device}" if known else "device not chosen yet"]
    if engine.model:
        facts.append(f"{engine.model} {'warm' if engine.warm else 'cold'}")
    else:
        facts.append("no model loaded")
    if engine.memory_used_bytes is not None:
        facts.append(f"{bytes_text(engine.memory_used_bytes)} used")
    if engine.memory_free_bytes is not None:
        facts.append(f"{bytes_text(engine.memory_free_bytes)} free")
    return facts


def queue_facts(queue: QueueStatus | None) -> list[str]:
    """How many jobs wait, by priority where that is known."""
    if queue is None:
        return ["being read"]
    waiting = queue.count(JobState.QUEUED)
    if not waiting:
        return ["empty"]
    facts = [f"{waiting:,} waiting"]
    if queue.waiting_by_priority:
        by = queue.waiting_by_priority
        facts += [f"{by[name]:,} {name}" for name in _PRIORITIES if by.get(name)]
    return facts


def result_facts(queue: QueueStatus | None) -> list[str]:
    """How many jobs ended how."""
    if queue is None:
        return []
    ends = (JobState.DONE, JobState.FAILED, JobState.GAVE_UP, JobState.CANCELLED)
    return [f"{queue.count(end):,} {state_text(end)}" for end in ends if queue.count(end)] or ["none yet"]


def health_facts(states: Sequence[str]) -> list[str]:
    """How many there are, and how many of them are in which kind of trouble."""
    troubled = [state for state in states if state not in HEALTHY]
    return [
        f"{len(states)}" if states else "none",
        *(f"{troubled.count(it)} {it}" for it in dict.fromkeys(troubled)),
    ]


def folder_text(folder: FolderStatus) -> str:
    """How many files are where; of a folder in trouble, the trouble."""
    if folder.state not in HEALTHY:
        return f"{folder.state}: {folder.message}" if folder.message else folder.state
    counts = (("waiting", folder.waiting), ("queued", folder.queued), ("failed", folder.failed))
    return ", ".join([f"{folder.done:,} done", *(f"{count:,} {word}" for word, count in counts if count)])


def job_facts(job: JobStatus) -> list[tuple[str, str]]:
    """Everything that a person may want to know of one job: name and value."""
    result = [state_text(job.state), job.verdict or "", result_text(job)]
    if job.state is JobState.RUNNING:
        result = [state_text(job.state), job.stage or "starting", f"{job.fraction:.0%}", left_text(job)]
    facts = [
        ("job", job.job_id),
        ("source", job.source),
        ("folder", job.folder),
        ("from", f"{job.client}, priority {job.priority}, {time_text(job.created_at)}"),
        ("preset", f"{job.preset}, model {job.model}"),
        ("state", ", ".join(part for part in result if part)),
    ]
    return [*facts, ("retry of", job.retry_of)] if job.retry_of else facts


def time_text(seconds: float) -> str:
    """Date and local time of seconds since the epoch."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")

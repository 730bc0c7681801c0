"""`stemfix jobs`: list, show, cancel, retry and clear the jobs of the queue, for scripts and by hand."""

from __future__ import annotations

from collections.abc import Callable

import click

#: As in `engine.queue.records.JobState`, which is not imported for a help text.
_STATES = ("queued", "running", "done", "failed", "cancelled", "gave_up")


@click.group("jobs")
def command() -> None:
    """List, show, cancel, retry and clear the jobs of the queue.

    A job's ID may be shortened to its beginning, as long as no other job begins so.
    """


@command.command("list")
@click.option(
    "--state", "states", multiple=True, type=click.Choice(_STATES), help="Only these; may be repeated."
)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    metavar="N",
    help="At most so many, the newest.",
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per job.")
def list_jobs(states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""
    from engine.queue.records import JobState
    from stemfix.console import say, say_table, table
    from stemfix.monitor.snapshot import JobStatus
    from stemfix.monitor.words import job_name, result_text, state_text
    from stemfix.queue_access import open_queue
    from stemfix.text import plain

    with open_queue() as queue:
        records = queue.jobs(states=[JobState(state) for state in states] or None, limit=limit)
    jobs = [JobStatus.of(record) for record in records]
    if as_json:
        for job in jobs:
            say(job.model_dump_json())
        return
    if not jobs:
        say("There is no such job." if states else "The queue is empty.")
        return
    rows = table("job", "state", "from", "recording", "result")
    for job in jobs:
        result = f"{job.fraction:.0%}" if job.state is JobState.RUNNING else result_text(job)
        words = " ".join(part for part in (job.verdict, result) if part)
        rows.add_row(job.job_id, state_text(job.state), job.client, plain(job_name(job)), plain(words))
    rows.columns[0].no_wrap = True
    say_table(rows)


@command.command("show")
@click.argument("job_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON object.")
def show(job_id: str, as_json: bool) -> None:
    """Show one job."""
    from stemfix.console import say
    from stemfix.monitor.snapshot import JobStatus
    from stemfix.monitor.words import job_facts, time_text
    from stemfix.queue_access import open_queue

    with open_queue() as queue:
        record = queue.find(job_id)
    if as_json:
        say(record.model_dump_json())
        return
    facts = job_facts(JobStatus.of(record))
    facts += [
        (name, time_text(moment))
        for name, moment in (("started", record.started_at), ("ended", record.ended_at))
        if moment is not None
    ]
    facts += [("note", note) for note in (record.outcome.notes if record.outcome else [])]
    for name, value in facts:
        say(f"{name:<8} {value}")


@command.command("log")
@click.argument("job_id", metavar="ID")
def log(job_id: str) -> None:
    """Print what a job said on its way, with the times."""
    from stemfix.console import say
    from stemfix.queue_access import open_queue

    with open_queue() as queue:
        for line in queue.log(queue.find(job_id).job_id):
            say(line)


@command.command("cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.pass_obj
def cancel(settings: object, job_ids: tuple[str, ...]) -> int:
    """Cancel jobs, queued or running; a running one stops within about 2 s."""
    from stemfix.queue_access import open_queue

    with open_queue() as queue:

        def one(job_id: str) -> str:
            record = queue.find(job_id)
            if queue.cancel(record.job_id):
                return f"{record.job_id} is being cancelled."
            return f"{record.job_id} had ended already."

        return _each(job_ids, one, settings)


@command.command("retry")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.pass_obj
def retry(settings: object, job_ids: tuple[str, ...]) -> int:
    """Queue jobs again that have ended; prints the ids of the new ones."""
    from engine.errors import OptionError
    from stemfix.queue_access import open_queue

    with open_queue() as queue:

        def one(job_id: str) -> str:
            record = queue.find(job_id)
            if not record.state.ended:
                raise OptionError(f"The job {record.job_id} is {record.state.value}.", "Wait, or cancel it.")
            return queue.retry(record.job_id)

        return _each(job_ids, one, settings)


@command.command("clear")
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0),
    default=0.0,
    metavar="DAYS",
    help="Only jobs that ended so many days ago.",
)
@click.option("--yes", is_flag=True, envvar="STEMFIX_YES", help="Don't ask.")
def clear(days: float, yes: bool) -> None:
    """Forget jobs that have ended, and their logs; their results are never touched."""
    from stemfix.console import interactive, say
    from stemfix.queue_access import open_queue
    from stemfix.text import count_text

    with open_queue() as queue:
        ended = sum(count for state, count in queue.counts().items() if state.ended)
        which = (
            f"the jobs that ended {days:g} days ago or earlier" if days else count_text(ended, "ended job")
        )
        if ended and not yes and interactive():
            click.confirm(f"Forget {which}? Their results stay.", abort=True, err=True)
        say(f"Forgot {count_text(queue.clear(days * 86400), 'job')}.")


def _each(job_ids: tuple[str, ...], one: Callable[[str], str], settings: object) -> int:
    """Do it for each job; one that fails does not keep the others from it."""
    from engine.errors import StemfixError
    from stemfix.console import say
    from stemfix.failure import Settings, report_failure

    assert isinstance(settings, Settings)
    status = 0
    for job_id in job_ids:
        try:
            say(one(job_id))
        except StemfixError as error:
            status = max(status, report_failure(error, settings))
    return status

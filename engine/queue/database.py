"""The queue's database: one file private to the user, or a PostgreSQL server, and the tables in it.

DBOS keeps its own tables beside these two: which step of which job is done, and whose turn it is. Here stands
what a person asks for: the job, how far it is, how it ended and what it said on the way.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy import event

from engine.errors import OptionError, OutputError
from engine.files import output_errors
from engine.paths import data_dir
from engine.queue.silence import silence_dbos

metadata = sa.MetaData()

jobs = sa.Table(
    "stemfix_jobs",
    metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("client", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("ended_at", sa.Float),
    sa.Column("retry_of", sa.String),
    sa.Column("progress", sa.Text),
    sa.Column("outcome", sa.Text),
    #: Somebody asked to cancel it while it ran.
    sa.Column("cancel", sa.Boolean, nullable=False, default=False),
    #: The engine that works on it.
    sa.Column("executor", sa.String),
    #: The step begun last, and how often it began without coming to an end.
    sa.Column("step", sa.String),
    sa.Column("starts", sa.Integer, nullable=False, default=0),
    #: It was tried in a process of its own, which survived.
    sa.Column("acquitted", sa.Boolean, nullable=False, default=False),
    #: Its stems are there; what is left is for the CPU.
    sa.Column("separated", sa.Boolean, nullable=False, default=False),
    #: The results that it is about to deliver; only one job at a time may.
    sa.Column("claim", sa.String, unique=True),
    #: Nothing is left of it but this: no work folder, no trace in DBOS.
    sa.Column("tidy", sa.Boolean, nullable=False, default=False),
    sa.Index("stemfix_jobs_by_state", "state", "created_at"),
    sa.Index("stemfix_jobs_by_turn", "state", "priority", "created_at", "job_id"),
    sa.Index("stemfix_jobs_by_time", "created_at", "job_id"),
    sa.Index("stemfix_jobs_by_end", "ended_at", "job_id"),
    sa.Index("stemfix_jobs_separated", "separated", "state"),
    sa.Index("stemfix_jobs_untidy", "tidy", "ended_at"),
)

log = sa.Table(
    "stemfix_log",
    metadata,
    sa.Column("line", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String, nullable=False, index=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)

#: Seconds that a writer waits for its turn.
_PATIENCE_S = 30


def is_sqlite(url: str) -> bool:
    """Whether the URL names a SQLite file."""
    return url.startswith("sqlite")


def sqlite_path(url: str) -> Path:
    """The file that a SQLite URL names. Raises OptionError if it names none."""
    path = sa.make_url(url).database
    if not path or path == ":memory:":
        raise OptionError(f"The queue's URL {url!r} names no file.", "Write it as sqlite:////path/to/file.")
    return Path(path)


def open_database(url: str, *, every_commit_survives_power_loss: bool = True) -> sa.Engine:
    """An engine on the database at `url`, which is made ready if it is new.

    Args:
        url: see `QueueSettings`.
        every_commit_survives_power_loss: without it a power cut may undo the last commits (never a crash of
            the program). A runner can do without: its steps only run again then.

    Raises:
        OptionError: the URL is none.
        OutputError: the file can't be made, or the server can't be reached.
    """
    silence_dbos()
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise OptionError(
            f"The queue's URL {url!r} can't be read.", "Write it as sqlite:////path or postgresql://..."
        ) from error
    if not is_sqlite(url):
        engine = sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
        with database_errors(engine):
            _make_tables(engine, parsed.render_as_string(hide_password=False))
        return engine
    path = sqlite_path(url)
    engine = sa.create_engine(parsed, pool_size=20, max_overflow=20)
    synchronous = "FULL" if every_commit_survives_power_loss else "NORMAL"

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        # As DBOS has it: a writer takes its turn at once, so that no two of them deadlock halfway.
        connection.isolation_level = "IMMEDIATE"
        for setting in (
            f"busy_timeout = {_PATIENCE_S * 1000}",
            "foreign_keys = ON",
            "journal_mode = WAL",  # readers and the writer don't wait for each other
            f"synchronous = {synchronous}",
        ):
            connection.execute(f"PRAGMA {setting}")

    with output_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.parent == data_dir():
            path.parent.chmod(0o700)  # another part of stemfix may have made it
        with FileLock(path.with_name(path.name + ".lock"), mode=0o600):
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with database_errors(engine):
                _make_tables(engine, url)
    return engine


@contextmanager
def database_errors(database: sa.Engine) -> Iterator[None]:
    """Inside this block a database that is full, busy for too long or gone becomes an OutputError."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise _as_output_error(database, error) from error


def speak_plainly(database: sa.Engine) -> None:
    """Make every such error of this engine an OutputError from now on."""

    @event.listens_for(database, "handle_error")
    def _translate(context: sa.engine.ExceptionContext) -> OutputError | None:
        error = context.sqlalchemy_exception
        return _as_output_error(database, error) if isinstance(error, sa.exc.OperationalError) else None


def _as_output_error(database: sa.Engine, error: sa.exc.OperationalError) -> OutputError:
    where = database.url.database if database.dialect.name == "sqlite" else database.url
    return OutputError(
        f"The queue {where} can't be used: {error.orig}.",
        "Free some space, or make it reachable, and try again.",
    )


def _make_tables(engine: sa.Engine, url: str) -> None:
    present = sa.inspect(engine).get_table_names()
    if jobs.name in present and log.name in present:
        return
    from dbos import DBOS

    DBOS.migrate(url)
    metadata.create_all(engine)

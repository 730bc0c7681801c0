"""How a running job looks on stderr: a live bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.progress import Progress, Stage
from stemfix.console import console, say
from stemfix.job_clock import JobClock
from stemfix.text import clock_text, plain, speed_text

#: Plain lines come when the whole job has gone on by this share.
_LINE_EVERY = 0.1


class PlainProgress(Progress):
    """One line per stage and per tenth of the job."""

    def __init__(self, clock: JobClock) -> None:
        super().__init__()
        self._clock = clock
        self._last: tuple[Stage, int] | None = None

    def update(self, stage: Stage, done: int, total: int) -> None:
        """See `Progress.update`."""
        self._clock.update(stage, done, total)
        step = (stage, int(self._clock.fraction / _LINE_EVERY))
        if step != self._last:
            self._last = step
            speed, left = speed_text(self._clock.speed), clock_text(self._clock.seconds_left)
            say(f"{self._clock.fraction:4.0%}  {stage:<8}  {speed:>6}  {left} left", error=True)

    def note(self, message: str) -> None:
        """See `Progress.note`."""
        say(plain(f"Note: {message}"), error=True)


class LiveProgress(Progress):
    """A bar that is drawn again and again in one place; use it within `with progress.shown():`."""

    def __init__(self, clock: JobClock) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        super().__init__()
        self._clock = clock
        self._bar = Bar(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[speed]:>6}"),
            TextColumn("{task.fields[left]:>7} left"),
            console=console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )
        self._task = self._bar.add_task("read", total=1.0, speed="-", left="-:--")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar for the time of the block."""
        with self._bar:
            yield

    def update(self, stage: Stage, done: int, total: int) -> None:
        """See `Progress.update`."""
        self._clock.update(stage, done, total)
        self._bar.update(
            self._task,
            description=stage,
            completed=self._clock.fraction,
            speed=speed_text(self._clock.speed),
            left=clock_text(self._clock.seconds_left),
        )

    def note(self, message: str) -> None:
        """See `Progress.note`."""
        self._bar.console.print(plain(f"Note: {message}"), soft_wrap=True)


@contextmanager
def job_progress(seconds: float | None, quiet: bool) -> Iterator[Progress]:
    """The Progress that fits the occasion, shown for the time of the block."""
    if quiet:
        yield Progress()
        return
    clock = JobClock(seconds)
    if console(stderr=True).is_terminal:
        live = LiveProgress(clock)
        with live.shown():
            yield live
    else:
        yield PlainProgress(clock)

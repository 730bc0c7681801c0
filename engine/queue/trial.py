"""Trial: was it this job that killed the engine? Tried once more, in a process whose death harms nobody.

An engine that dies may have been killed by the job that it was at, or by anything else: a kill from outside,
a power cut, another program that took all memory. From inside the two can't be told apart. So a job that was
in the same step three times when the engine died is done once in a process of its own before it is given up.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from engine.job import JobSpec
from engine.models import ModelProvider
from engine.pipeline import run_job

#: Only here can a process be copied that has threads or will use a GPU.
AVAILABLE = sys.platform == "linux"

_LOOK_S = 0.1
#: A trial that takes longer proves nothing.
_LIMIT_S = 3600.0


class Trial:
    """A copy of this process, made while it is still young, which waits until there is a job to be tried.

    It ends with this process.
    """

    def __init__(self, models: ModelProvider) -> None:
        requests, self._requests = os.pipe()
        self._answers, answers = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of copying a process that has threads
            self._pid = os.fork()
        if self._pid == 0:
            try:
                os.close(self._requests)
                os.close(self._answers)
                _serve(requests, answers, models)
            finally:
                os._exit(0)
        os.close(requests)
        os.close(answers)

    def survives(self, spec: JobSpec, check: Callable[[], None]) -> bool:
        """Do the whole job in another process; False if that process died of it. `check` may raise."""
        os.write(self._requests, spec.model_dump_json().encode() + b"\n")
        until = monotonic() + _LIMIT_S
        try:
            while monotonic() < until:
                check()
                if select.select([self._answers], [], [], _LOOK_S)[0]:
                    return os.read(self._answers, 1) != b"-"
        except BaseException:
            self.close()
            raise
        self.close()
        return True

    def close(self) -> None:
        """End it, with what it is trying."""
        if self._pid:
            os.close(self._requests)
            os.waitpid(self._pid, 0)
            os.close(self._answers)
            self._pid = 0


def _serve(requests: int, answers: int, models: ModelProvider) -> None:
    """Take one request after the other until the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    line = b""
    while block := os.read(requests, 65536):
        line += block
        if not line.endswith(b"\n"):
            continue
        spec, line = JobSpec.model_validate_json(line), b""
        child = os.fork()
        if child == 0:
            with suppress(Exception):
                run_job(spec, models=models)
            os._exit(0)
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            if select.select([requests], [], [], _LOOK_S)[0]:  # nobody waits for the answer any more
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return
        os.write(answers, b"+" if status == 0 else b"-")

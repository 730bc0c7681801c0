from __future__ import annotations

import os
import signal
import threading

import pytest

from engine.progress import Progress
from stemfix.interrupt import stop_on_signals

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_cancels_every_time_and_raises_nothing(number: str) -> None:
    progress = Progress()
    before = signal.getsignal(getattr(signal, number))
    with stop_on_signals(progress):
        signal.raise_signal(getattr(signal, number))
        signal.raise_signal(getattr(signal, number))
        assert progress.cancelled
    assert signal.getsignal(getattr(signal, number)) is before


def test_what_the_shell_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        progress = Progress()
        with stop_on_signals(progress):
            signal.raise_signal(signal.SIGHUP)
        assert not progress.cancelled
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_may_use_it_too() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with stop_on_signals(Progress()):
                pass
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []

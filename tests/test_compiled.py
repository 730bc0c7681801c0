"""Compiled functions: the same results, no import of numba before they are called, no need for a cache."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine import compiled as module
from engine.compiled import compiled


def add_up(values: list[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def test_gives_the_same_result() -> None:
    import numpy as np

    values = np.random.default_rng(0).standard_normal(1000)
    assert compiled(add_up)(values) == add_up(values)


def test_numba_waits_for_the_first_call() -> None:
    code = "import sys; from engine.compiled import compiled; compiled(len); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_cache_that_cannot_be_used_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def code(function: object, *, cache: bool) -> object:
        def call(*arguments: object) -> object:
            tried.append(cache)
            if cache:
                raise OSError("read-only file system")
            return function(*arguments)  # type: ignore[operator]

        return call

    monkeypatch.setattr(module, "_code", code)
    assert compiled(add_up)([1.0, 2.0]) == 3.0
    assert tried == [True, False]


def test_no_folder_for_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    real = numba.njit

    def njit(*arguments: object, cache: bool = False, **options: object) -> object:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*arguments, **options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(add_up)((1.0, 2.0)) == 3.0

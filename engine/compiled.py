"""Compiled: makes a function of numbers and arrays one that numba compiles when it is first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """`function` as machine code, same results; numba is imported and the code made at the first call.

    The code is kept beside the module or in the user's cache folder, and made anew in every process where
    neither can be written. A compiled function can't call another one.
    """
    code: list[Callable[..., Any]] = []

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if not code:
            code.append(_code(function, cache=True))
        try:
            return code[0](*arguments)
        except OSError:
            # Machine code raises none: the cache could not be read or written after all.
            code[0] = _code(function, cache=False)
            return code[0](*arguments)

    return cast(F, call)


def _code(function: F, *, cache: bool) -> Callable[..., Any]:
    import numba

    try:
        made = numba.njit(cache=cache, nogil=True)(function)
    except RuntimeError:
        # numba: "no locator available", it found no folder that it can write.
        made = numba.njit(nogil=True)(function)
    return cast(Callable[..., Any], made)

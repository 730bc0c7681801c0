"""Curves: a value per hop of a whole recording, kept in a file once they are long, so that memory stays flat.

A long curve is an array on a mapped file. Mapped pages count as memory for as long as they are held, so
whoever has gone through a piece of one gives its pages back with `let_go`; they come back when they are read.
"""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

#: Values up to which a curve stays in memory: some six minutes at the rate of an `Envelope`.
_IN_MEMORY = 1 << 19
#: Values per piece: some minutes, a multiple of a page.
PIECE = 1 << 17


def new_curve(count: int, dtype: npt.DTypeLike = np.float32) -> Array:
    """`count` zeros, in a temporary file without a name if there are many and the disk has room for them."""
    if count <= _IN_MEMORY:
        return np.zeros(count, dtype)
    size = count * np.dtype(dtype).itemsize
    try:
        with tempfile.TemporaryFile() as file:
            # Written, not only sized: a full disk must be met here, where it can be told.
            nothing = bytes(1 << 20)
            for start in range(0, size, len(nothing)):
                file.write(nothing[: min(len(nothing), size - start)])
            file.flush()
            return np.frombuffer(mmap.mmap(file.fileno(), size), dtype)
    except OSError:
        return np.zeros(count, dtype)


def let_go(*curves: Array) -> None:
    """Give back the memory of curves that lie in a file, until they are looked at again."""
    for curve in curves:
        base: Any = curve
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, memoryview):
            base = base.obj
        if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
            with suppress(OSError):
                base.madvise(mmap.MADV_DONTNEED)


def pieces(*curves: Array, size: int = PIECE) -> Iterator[tuple[Array, ...]]:
    """The same part of every curve, one after the other; what was looked at is given back."""
    for begin in range(0, len(curves[0]), size):
        yield tuple(curve[begin : begin + size] for curve in curves)
        let_go(*curves)

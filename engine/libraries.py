"""load: import the libraries that several threads use, one thread at a time, before any of them uses them.

Python locks each module by itself while it is imported. Two threads that enter a package whose modules import
each other by different doors, say `scipy.fft` and `scipy.ndimage`, then wait for one another; Python notices,
and hands one of them a module that is only half there. That thread gets an ImportError, an AttributeError or
a KeyError, and scipy stays broken for the rest of the process. So these packages are imported here under one
lock; the imports in the functions that need them only look them up then.
"""

from __future__ import annotations

import threading
from importlib import import_module

#: What the engine uses of scipy, in the functions that need it.
SCIPY = ("scipy.fft", "scipy.linalg", "scipy.ndimage", "scipy.signal", "scipy.special")

_one_at_a_time = threading.Lock()


def load(*modules: str) -> None:
    """Import `modules` if they are not yet there; when this returns they are there whole."""
    with _one_at_a_time:
        for module in modules:
            import_module(module)

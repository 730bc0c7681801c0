"""Check: one finding of `stemfix doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "hint", "failed"]


@dataclass(frozen=True)
class Check:
    """One finding. A hint is worth reading; a failure keeps stemfix from working."""

    name: str
    state: State
    found: str
    remedy: str = ""

"""Values as text: sizes, times and speeds for people, names that are safe to print, numbers that JSON has."""

from __future__ import annotations

import math
from typing import Any


def bytes_text(count: int) -> str:
    """Such as `84.0 MB`, in powers of 1000."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def about_bytes_text(count: int | None) -> str:
    """Such as `about 84 MB`, for a size that is not known exactly."""
    if count is None:
        return "size unknown"
    return f"about {count / 1e9:.1f} GB" if count >= 1e9 else f"about {count / 1e6:.0f} MB"


def count_text(count: int, thing: str) -> str:
    """Such as `1 file` and `2 files`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def number_text(value: float, digits: int, sign: bool = False) -> str:
    """`value` with so many decimals, zero never negative; with `sign` a plus is shown too."""
    return format(round(value, digits) + 0.0, f"{'+' if sign else ''}.{digits}f")


def clock_text(seconds: float | None) -> str:
    """`m:ss`, or `h:mm:ss` from an hour on; dashes for what is unknown."""
    if seconds is None:
        return "-:--"
    whole = int(seconds + 0.5)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def speed_text(speed: float | None) -> str:
    """Such as `3.2x`: seconds of audio per second."""
    if speed is None:
        return "-"
    return f"{speed:.0f}x" if speed >= 100 else f"{speed:.1f}x" if speed >= 0.95 else f"{speed:.2f}x"


def plain(text: str) -> str:
    """`text` with control characters made visible: a file name must not steer the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def finite(value: Any) -> Any:
    """`value` with null for the infinities and NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

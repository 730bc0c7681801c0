"""ExtState: one section of REAPER's `reaper-extstate.ini`, read and changed without touching other bytes."""

from __future__ import annotations

import re

SECTION = "stemfix"


def read_section(data: bytes | None, section: str = SECTION) -> dict[str, str] | None:
    """The keys and values of a section; None if there is no such section."""
    if data is None or (span := _span(data, section)) is None:
        return None
    values: dict[str, str] = {}
    for line in data[span[0] : span[1]].splitlines()[1:]:
        key, equals, value = line.partition(b"=")
        if equals:
            # As in Windows' profile functions, which REAPER uses everywhere, the first of two holds.
            values.setdefault(key.strip().decode("utf-8", "replace"), value.decode("utf-8", "replace"))
    return values


def with_values(data: bytes | None, values: dict[str, str], section: str = SECTION) -> bytes:
    """The file with these values in the section; its other keys and all other sections stay as they are.

    Raises ValueError for a value that would not stay on its line.
    """
    for key, value in values.items():
        if any(character in value for character in "\r\n\0") or not re.fullmatch(r"\w+", key):
            raise ValueError(f"{key}={value!r} does not fit into an ini file")
    data = data or b""
    newline = _newline(data)
    span = _span(data, section)
    if span is None:
        lead = b"" if not data or data.endswith((b"\n", b"\r")) else newline
        lines = [f"[{section}]".encode(), *(_line(*pair) for pair in values.items())]
        return data + lead + b"".join(line + newline for line in lines)
    left = dict(values)
    lines = []
    for line in data[span[0] : span[1]].splitlines(keepends=True):
        key = line.partition(b"=")[0].strip().decode("utf-8", "replace")
        if key in left:
            ending = line[len(line.rstrip(b"\r\n")) :]
            line = _line(key, left.pop(key)) + ending
        lines.append(line)
    tail = len(lines)
    while tail > 1 and not lines[tail - 1].strip():
        tail -= 1
    if left and not lines[tail - 1].endswith((b"\n", b"\r")):
        lines[tail - 1] += newline
    lines[tail:tail] = [_line(key, value) + newline for key, value in left.items()]
    return data[: span[0]] + b"".join(lines) + data[span[1] :]


def without_section(data: bytes, section: str = SECTION) -> bytes:
    """The file without the section."""
    while (span := _span(data, section)) is not None:
        data = data[: span[0]] + data[span[1] :]
    return data


def _span(data: bytes, section: str) -> tuple[int, int] | None:
    head = re.compile(
        rb"^[ \t]*\[" + re.escape(section.encode()) + rb"\][^\r\n]*$", re.MULTILINE | re.IGNORECASE
    )
    match = head.search(data.replace(b"\r", b"\n"))
    if match is None:
        return None
    following = re.compile(rb"^[ \t]*\[", re.MULTILINE).search(data.replace(b"\r", b"\n"), match.end())
    return match.start(), following.start() if following else len(data)


def _line(key: str, value: str) -> bytes:
    return f"{key}={value}".encode()


def _newline(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\n"

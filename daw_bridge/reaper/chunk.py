"""Chunk: REAPER's project text as lines and blocks, of which every byte can be put back.

A block begins with a line `<NAME ...` and ends with a line `>`; blocks nest. Lines of text that the user
wrote begin with `|`, and encoded data has neither `<` nor `>`.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

from engine.errors import InputError


class ChunkError(InputError):
    """The text is not as REAPER writes it."""


@dataclass(frozen=True)
class Block:
    """The lines `[start, stop)` of a block, its first and last line among them."""

    name: str
    start: int
    stop: int
    parent: int | None


def split_lines(data: bytes) -> list[bytes]:
    """The lines with their ends; joined they are `data`. Only line feeds end a line."""
    return re.findall(rb"[^\n]*\n|[^\n]+", data)


def find_blocks(lines: list[bytes]) -> list[Block]:
    """All blocks in the order of their first lines; `parent` is an index into the list. Raises ChunkError."""
    starts: list[tuple[str, int, int | None]] = []
    stops: dict[int, int] = {}
    stack: list[int] = []
    for index, line in enumerate(lines):
        text = line.strip()
        if text.startswith(b"<"):
            name = text[1:].split(None, 1)[0].decode("ascii", "replace") if len(text) > 1 else ""
            starts.append((name, index, stack[-1] if stack else None))
            stack.append(len(starts) - 1)
        elif text == b">":
            if not stack:
                raise ChunkError(f"Line {index + 1} ends a block that never began.", "The file is damaged.")
            stops[stack.pop()] = index + 1
    if stack:
        name, index, _ = starts[stack[-1]]
        raise ChunkError(f"The block {name} in line {index + 1} has no end.", "The file is damaged.")
    return [Block(name, start, stops[place], parent) for place, (name, start, parent) in enumerate(starts)]


def words(line: bytes) -> list[str]:
    """A line's words; REAPER quotes one that holds blanks in whichever of `"`, `'` and backticks it lacks."""
    found = re.findall(rb"\"[^\"]*\"|'[^']*'|`[^`]*`|\S+", line.strip())
    texts = (word.decode("utf-8", "surrogateescape") for word in found)
    return [
        text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'`" else text for text in texts
    ]


def quoted(text: str) -> bytes:
    """A word as REAPER writes it. Raises ChunkError for one that would break the line."""
    if "\n" in text or "\r" in text:
        raise ChunkError(f"{text!r} holds a line break.", "Rename it.")
    for quote in "\"'`":
        if quote not in text:
            break
    else:
        quote, text = "`", text.replace("`", "'")
    return f"{quote}{text}{quote}".encode("utf-8", "surrogateescape")


def replaced(line: bytes, value: bytes) -> bytes:
    """The line with everything behind its first word replaced; indentation and line end stay."""
    body = line.rstrip(b"\r\n")
    key = body.lstrip().split(None, 1)[0]
    indent = body[: len(body) - len(body.lstrip())]
    return indent + key + b" " + value + line[len(body) :]


def new_guid() -> bytes:
    """As REAPER writes them."""
    return b"{" + str(uuid.uuid4()).upper().encode() + b"}"


def number(value: float) -> bytes:
    """The shortest text that reads back as the same number, never in scientific notation."""
    text = repr(float(value))
    if "e" in text or "E" in text:
        text = f"{value:.20f}".rstrip("0").rstrip(".") or "0"
    return text.removesuffix(".0").encode()

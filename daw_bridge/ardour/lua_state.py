"""The Lua text in which Ardour keeps bound scripts: read it statement by statement, and quote strings for it.

Ardour serialises a table as one assignment after the other, as in
`scripts = {} scripts[3] = {} scripts[3]["n"] = "Name" `, with strings quoted by Lua's `%q`, and loads the
text as a Lua chunk (`serialize` in Ardour's gtk2_ardour/luainstance.cc). Strings hold any bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Value = bytes | int | float | bool | dict[str, object] | None

_NAME = re.compile(rb"\s*([A-Za-z_]\w*)")
_EQUALS = re.compile(rb"\s*=\s*")
_NUMBER = re.compile(rb"-?(?:0[xX][0-9A-Fa-f.]+(?:[pP][-+]?\d+)?|\d+\.?\d*(?:[eE][-+]?\d+)?)")
_STRING = re.compile(rb'"((?:[^"\\\n]|\\(?:\r\n|.|\n))*)"', re.DOTALL)
_WORDS: dict[bytes, Value] = {b"{}": {}, b"true": True, b"false": False, b"nil": None}
_ESCAPE = re.compile(rb"\\(\d{1,3}|x[0-9A-Fa-f]{2}|z\s*|\r\n|.|\n)", re.DOTALL)
_LETTERS = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\n": 10, b"\r\n": 10}
_SPACES = re.compile(rb"\s*")


class LuaStateError(ValueError):
    """The text is not a list of assignments as Ardour writes it."""


@dataclass(frozen=True)
class Assignment:
    """`path = value` at `text[start:end]`, the white space behind it included."""

    path: tuple[bytes | int, ...]
    value: Value
    start: int
    end: int


def assignments(text: bytes) -> list[Assignment]:
    """All assignments of `text` in order. Raises LuaStateError where it holds anything else."""
    found = []
    place = _after_spaces(text, 0)
    while place < len(text):
        start = place
        name = _NAME.match(text, place)
        if name is None:
            raise LuaStateError(f"no name at byte {place}")
        path: list[bytes | int] = [name[1]]
        place = name.end()
        while text[place : place + 1] == b"[":
            key, place = _value(text, place + 1)
            if isinstance(key, bool) or not isinstance(key, (bytes, int)) or text[place : place + 1] != b"]":
                raise LuaStateError(f"no key at byte {place}")
            path.append(key)
            place += 1
        equals = _EQUALS.match(text, place)
        if equals is None:
            raise LuaStateError(f"no assignment at byte {place}")
        value, place = _value(text, equals.end())
        place = _after_spaces(text, place)
        found.append(Assignment(tuple(path), value, start, place))
    return found


def quoted(value: bytes | str) -> bytes:
    """A Lua string literal of printable ASCII alone; any bytes survive it."""
    data = value.encode(errors="surrogateescape") if isinstance(value, str) else value
    out = bytearray(b'"')
    for byte in data:
        if byte in b'"\\':
            out += b"\\" + bytes([byte])
        elif byte == 10:
            out += b"\\n"
        elif 32 <= byte < 127:
            out.append(byte)
        else:
            out += b"\\%03d" % byte
    return bytes(out + b'"')


def unquoted(literal: bytes) -> bytes:
    """What the inside of a Lua string literal stands for. Raises LuaStateError."""
    return _ESCAPE.sub(_unescaped, literal)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if code.isdigit():
        if int(code) > 255:
            raise LuaStateError(f"an escape \\{code.decode()} that is no byte")
        return bytes([int(code)])
    if code[:1] == b"x" and len(code) == 3:
        return bytes([int(code[1:], 16)])
    if code[:1] == b"z":
        return b""
    if code in _LETTERS:
        return bytes([_LETTERS[code]])
    if code in (b'"', b"'", b"\\"):
        return code
    raise LuaStateError(f"an unknown escape {code!r}")


def _value(text: bytes, place: int) -> tuple[Value, int]:
    string = _STRING.match(text, place)
    if string is not None:
        return unquoted(string[1]), string.end()
    for word, value in _WORDS.items():
        if text.startswith(word, place):
            return value, place + len(word)
    number = _NUMBER.match(text, place)
    if number is None:
        raise LuaStateError(f"no value at byte {place}")
    digits = number[0]
    if re.fullmatch(rb"-?\d+", digits):
        return int(digits), number.end()
    hexadecimal = b"x" in digits.lower()
    return float.fromhex(digits.decode()) if hexadecimal else float(digits), number.end()


def _after_spaces(text: bytes, place: int) -> int:
    match = _SPACES.match(text, place)
    return match.end() if match else place

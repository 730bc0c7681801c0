from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daw_bridge.ardour.lua_state import LuaStateError, assignments, quoted, unquoted


@given(st.binary(max_size=200))
def test_any_bytes_survive_quoting(data: bytes) -> None:
    literal = quoted(data)
    assert literal.isascii()
    assert b"\n" not in literal
    (found,) = assignments(b"x = " + literal + b" ")
    assert found.value == data


@given(st.text(max_size=60))
def test_names_are_quoted_as_utf_8(text: str) -> None:
    try:
        data = text.encode()
    except UnicodeEncodeError:  # half of a pair
        return
    assert unquoted(quoted(text)[1:-1]) == data


def test_the_assignments_cover_the_text_without_a_gap() -> None:
    text = b'scripts = {} scripts[3] = {} scripts[3]["n"] = "A]=\\" b"  scripts[3]["c"] = true  '
    text += b"x[-1] = 0x1p4 y=1.5 z = nil"
    found = assignments(text)
    assert b"".join(text[one.start : one.end] for one in found) == text
    assert [(one.path, one.value) for one in found] == [
        ((b"scripts",), {}),
        ((b"scripts", 3), {}),
        ((b"scripts", 3, b"n"), b'A]=" b'),
        ((b"scripts", 3, b"c"), True),
        ((b"x", -1), 16.0),
        ((b"y",), 1.5),
        ((b"z",), None),
    ]


def test_strings_are_read_as_lua_reads_them() -> None:
    literal = b"\\27Lua\\0001\\x41\\z \n  B\\\nC\\r\\\r\nD\\\"\\'\\\\\x93"
    assert unquoted(literal) == b"\x1bLua\x001AB\nC\r\nD\"'\\\x93"


@pytest.mark.parametrize(
    "text",
    [
        b"os.execute ('rm')",
        b"x = ",
        b'x = "open',
        b'x = "line\nbreak"',
        b"x = {1}",
        b"x[y] = 1",
        b"x[true] = 1",
        b'x = "\\300"',
        b'x = "\\q"',
        b"x = function () end",
        b'x = "a" .. "b"',
        b"= 1",
    ],
)
def test_what_ardour_does_not_write_is_refused(text: bytes) -> None:
    with pytest.raises(LuaStateError):
        assignments(text)

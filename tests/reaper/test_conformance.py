"""Every call in every Lua file is to a function that REAPER has, with as many arguments as it takes."""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from lua_calls import uses
from make_api import BUILT_IN, small_list, used_functions
from reaper import _ONE_MORE, GFX, IMGUI, SCRIPTS, SIGNATURES

FILES = sorted(SCRIPTS.rglob("*.lua"))
ACTIONS = sorted(SCRIPTS.glob("stemfix_*.lua"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_call_is_official(path: Path) -> None:
    for use in uses(path.read_text(encoding="utf-8")):
        where = f"{path.name}:{use.line}: {use.table}.{use.name}"
        if use.table == "gfx":
            assert use.name in (*GFX, "x", "y", "w", "h", "mouse_x", "mouse_y", "mouse_cap"), where
            continue
        if use.name.startswith("ImGui_"):
            # ReaImGui's, which is used only where it is there.
            assert path.stem == "imgui_window", where
            assert use.name in IMGUI, where
            assert use.arguments in (None, *IMGUI[use.name]), where
            continue
        assert use.name in SIGNATURES, where
        if use.arguments is None or use.open_end:
            continue
        count = len(SIGNATURES[use.name]["args"])
        assert use.arguments in (count, count + (use.name in _ONE_MORE)), where


def test_the_list_holds_what_is_used_and_no_more() -> None:
    assert set(SIGNATURES) == used_functions()


def test_the_list_is_the_official_one() -> None:
    full = os.environ.get("STEMFIX_REAPER_API")
    if not full:
        pytest.skip("STEMFIX_REAPER_API does not name the full list of REAPER's functions")
    official = json.loads(Path(full).read_text(encoding="utf-8"))["functions"]
    assert small_list(official) == SIGNATURES
    assert not set(BUILT_IN) & {name.removeprefix("reaper.") for name in official}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 300
    assert max(map(len, text.splitlines())) <= 120
    assert text.startswith(
        f"-- {path.stem}: " if path.parent.name == "stemfix" else "-- @description stemfix: "
    )


@pytest.mark.parametrize("version", ["lua53", "lua54"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_lua(path: Path, version: str) -> None:
    runtime = importlib.import_module(f"lupa.{version}").LuaRuntime()
    assert runtime.eval("function (text) return assert (load (text)) end")(path.read_text(encoding="utf-8"))


def test_every_action_names_an_entry_that_exists() -> None:
    entries = re.findall(r"^  function M\.(\w+) \(", (SCRIPTS / "stemfix" / "actions.lua").read_text(), re.M)
    named: list[Any] = [re.search(r'\.run \("(\w+)"\)', path.read_text()) for path in ACTIONS]
    assert sorted(found[1] for found in named) == sorted(entries)


def test_what_needs_no_daw_is_the_same_for_both() -> None:
    own = (SCRIPTS / "stemfix" / "json.lua").read_text().splitlines()
    other = (SCRIPTS.parent / "ardour_scripts" / "stemfix_json.lua").read_text().splitlines()
    assert own[1:] == other[1:]


def test_the_check_finds_what_is_wrong() -> None:
    lines = [
        "reaper.Foo (a, b)",
        'local x = r.Bar ({ 1, 2 }, function () return 1, 2 end, "a,b") -- r.Not (1)',
        "f (r.Baz)",
        "r.Qux (g (1, 2))",
    ]
    text = "\n".join(lines)
    assert [(use.name, use.arguments, use.open_end, use.line) for use in uses(text)] == [
        ("Foo", 2, False, 1),
        ("Bar", 3, False, 2),
        ("Baz", None, False, 3),
        ("Qux", 1, True, 4),
    ]


def test_the_manual_names_every_action() -> None:
    manual = (SCRIPTS.parent / "docs" / "reaper.md").read_text(encoding="utf-8")
    for path in ACTIONS:
        if path.stem != "stemfix_Offer finished results":
            assert f"| {path.stem} |" in manual

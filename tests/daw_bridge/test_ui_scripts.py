from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest

from daw_bridge.ardour.ui_scripts import EMPTY, Hook, Script, UiScripts, UiScriptsError

MINE = Script(
    'stemfix: "é" <&>',
    b'function factory () return function () print ("\\\\\n") end end\n',
    "/x/stemfix_a.lua",
)
TICK = Hook(Script("stemfix: <tick>", b"function factory () end\n", "C:\\y\\stemfix_hook.lua"), 1 << 47)


def payload(data: bytes) -> bytes:
    return base64.b64decode(ElementTree.fromstring(data).findtext("ActionScript") or "")


def test_what_ardour_7_3_wrote_is_understood(genuine: bytes) -> None:
    found = UiScripts(genuine)
    assert {slot: script.name for slot, script in found.actions.items()} == {1: "Count é", 4: "No origin <&>"}
    assert found.actions[1].origin == "/home/me/.config/ardour7/scripts/count.lua"
    assert found.actions[1].source.startswith(b'ardour { ["type"] = "EditorAction", name = "Count \xc3\xa9"')
    assert b'-- "quoted" \\ back\n' in found.actions[1].source
    assert [(hook.script.name, hook.signals) for hook in found.hooks] == [("My hook", 1 << 48)]
    assert found.free_slots()[:3] == [2, 3, 5]
    assert len(found.free_slots()) == 30


def test_what_was_set_can_be_read_and_is_as_ardour_loads_it(genuine: bytes) -> None:
    data = UiScripts(genuine).edited({2: MINE, 3: MINE}, {1: TICK})
    found = UiScripts(data)
    assert found.actions[2] == found.actions[3] == MINE
    assert found.hooks[1] == TICK
    assert found.actions[1] == UiScripts(genuine).actions[1]
    # Ardour takes the whole text of the element, and wants these attributes.
    ours = ElementTree.fromstring(data).findall("ActionHooks/LuaCallback")[1]
    assert (ours.get("lua"), ours.get("signals"), ours.get("name")) == (
        "Lua 5.3",
        "1" + "0" * 47,
        "stemfix: <tick>",
    )
    assert len({hook.get("id") for hook in ElementTree.fromstring(data).iter("LuaCallback")}) == 2
    assert base64.b64decode(ours.text or "").startswith(b's = {} s["n"] = ')


def test_an_edit_leaves_every_other_byte_as_it_was(genuine: bytes) -> None:
    before = payload(genuine)
    data = UiScripts(genuine).edited({2: MINE}, {1: TICK})
    assert payload(data).startswith(before)
    outside = re.compile(rb">[A-Za-z0-9+/=]{40,}</ActionScript>|\s*<LuaCallback[^>]*stemfix.*?</LuaCallback>")
    assert outside.sub(b"", data) == outside.sub(b"", genuine)
    assert UiScripts(data).edited({2: None}, {1: None}) == genuine


@pytest.mark.parametrize(
    "start",
    [
        EMPTY,
        b"<UIScripts/>",
        b'<?xml version="1.0" encoding="UTF-8"?>\n<UIScripts>\n</UIScripts>\n',
        b'<UIScripts><ActionScript lua="Lua 5.3"></ActionScript><ActionHooks></ActionHooks></UIScripts>',
        b'<UIScripts>\n  <ActionHooks/>\n  <ActionScript lua="Lua 5.3"/>\n</UIScripts>',
    ],
)
def test_an_empty_file_of_any_form_takes_scripts(start: bytes) -> None:
    data = UiScripts(start).edited({3: MINE}, {0: TICK})
    found = UiScripts(data)
    assert (found.actions, found.hooks) == ({3: MINE}, [TICK])
    assert payload(data).startswith(b"scripts = {} scripts[3] = {} ")
    bare = UiScripts(found.edited({3: None}, {0: None}))
    assert (bare.actions, bare.hooks) == ({}, [])


def test_setting_what_is_there_changes_no_byte(genuine: bytes) -> None:
    data = UiScripts(genuine).edited({2: MINE}, {1: TICK})
    assert UiScripts(data).edited({2: MINE, 9: None}, {1: TICK}) == data


def test_a_later_binding_of_a_slot_is_the_one_that_holds() -> None:
    text = b'scripts = {} scripts[1] = {} scripts[1]["n"] = "old" scripts[1] = {} scripts[1]["n"] = "new" '
    data = EMPTY.replace(
        b"/>\n  <ActionHooks", b">" + base64.b64encode(text) + b"</ActionScript>\n  <ActionHooks"
    )
    assert UiScripts(data).actions[1].name == "new"
    assert payload(UiScripts(data).edited({1: None}, {})) == b"scripts = {} "


def test_a_hook_that_can_not_be_read_stays(genuine: bytes) -> None:
    odd = b'<LuaCallback lua="Lua 5.3" id="7" name="odd" signals="x">!!</LuaCallback>'
    start = genuine.replace(b"<ActionHooks>", b"<ActionHooks>\n    " + odd)
    data = UiScripts(start).edited({}, {2: TICK})
    assert odd in data
    assert UiScripts(data).edited({}, {2: None}) == start


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not whole XML"),
        (b"<UIScripts><ActionScript>", "not whole XML"),
        (b"<Session/>", "does not hold Ardour's scripts"),
        (b"<UIScripts><ActionScript/><ActionScript/></UIScripts>", "more than one list"),
        (b"<UIScripts><ActionScript>c2Nya&#88;B0</ActionScript></UIScripts>", "damaged"),
        (b"<UIScripts><ActionScript>c2</ActionScript></UIScripts>", "damaged"),
        (
            b"<UIScripts><ActionScript>" + base64.b64encode(b"os.exit ()") + b"</ActionScript></UIScripts>",
            "read",
        ),
        (b"<UIScripts><ActionScript>" + base64.b64encode(b"x = 1") + b"</ActionScript></UIScripts>", "else"),
        (b"<UIScripts><ActionHooks><LuaCallback><a/></LuaCallback></ActionHooks></UIScripts>", "hooks"),
    ],
)
def test_a_file_that_ardour_did_not_write_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UiScriptsError, match=words):
        UiScripts(data)

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daw_bridge.ardour.bindings import bound
from daw_bridge.ardour.folders import ArdourFolder
from daw_bridge.ardour.installer import read_settings
from daw_bridge.ardour.running import RunningArdour
from daw_bridge.ardour.ui_scripts import UiScripts
from daw_bridge.scripts import script_files
from engine.errors import StemfixError
from stemfix.checks import all_checks

ACTIONS = [
    "stemfix: Enhance selected region",
    "stemfix: Enhance selected region with preset...",
    "stemfix: Separate only",
    "stemfix: Import last result",
    "stemfix: Open comparison page",
]
Run = Callable[..., Any]


def test_the_real_scripts_are_all_installed_and_bound_in_the_order_of_the_menu(
    ardour: Callable[..., ArdourFolder], stemfix: Run
) -> None:
    folder = ardour()
    done = stemfix("daw", "install", "ardour", "--preset", "fast")
    assert done.status == 0, done.err
    assert "Ardour 7: the actions are installed (slots 2, 3, 5, 6, 7)." in done.out
    scripts = UiScripts(folder.ui_scripts.read_bytes())
    names = [scripts.actions[slot].name for slot in (2, 3, 5, 6, 7)]
    assert names == ACTIONS
    assert bound(scripts).hooks == ["stemfix_hook.lua"]
    installed = {path.name for path in folder.scripts.glob("stemfix_*.lua")}
    assert installed == {*script_files("ardour_scripts"), "stemfix_settings.lua"}
    told = read_settings(folder)
    assert told is not None
    assert told.python == sys.executable
    assert told.preset == "fast"
    assert Path(told.data_dir).is_absolute()
    assert "installed already" in stemfix("daw", "install", "ardour").out


def test_status_and_uninstall(ardour: Callable[..., ArdourFolder], stemfix: Run, genuine: bytes) -> None:
    assert "No configuration folder" in stemfix("daw", "status", "ardour").out
    assert stemfix("daw", "install", "ardour").status == 2
    folder = ardour()
    assert "not installed" in stemfix("daw", "status", "ardour").out
    stemfix("daw", "install", "ardour")
    done = stemfix("daw", "status", "ardour", "--json")
    (found,) = json.loads(done.out)
    assert (done.status, found["installed"], found["problems"], found["hints"]) == (0, True, [], [])
    assert found["slots"]["stemfix_enhance.lua"] == [2]
    (folder.scripts / "stemfix_lib.lua").unlink()
    done = stemfix("daw", "status", "ardour")
    assert done.status == 1
    assert "stemfix_lib.lua missing: close Ardour and run: stemfix daw install ardour" in done.out
    assert "the actions are gone" in stemfix("daw", "uninstall", "ardour").out
    assert folder.ui_scripts.read_bytes() == genuine
    assert "nothing to take out" in stemfix("daw", "uninstall", "ardour").out


def test_errors_are_one_sentence(
    ardour: Callable[..., ArdourFolder], stemfix: Run, no_ardour_runs: list[RunningArdour]
) -> None:
    folder = ardour()
    assert "There is no preset called 'x'" in stemfix("daw", "install", "ardour", "--preset", "x").err
    no_ardour_runs.append(RunningArdour(1, None, None))
    done = stemfix("daw", "install", "ardour")
    assert done.status == 2
    assert done.err.startswith("stemfix: Ardour 7 is running")
    no_ardour_runs.clear()
    folder.ui_scripts.write_bytes(b"<UIScripts")
    for action in ("install", "uninstall", "status"):
        done = stemfix("daw", action, "ardour")
        assert done.status == 2
        assert "can't be used: it is not whole XML" in done.err


def test_actions_beyond_the_menu_are_told(
    ardour: Callable[..., ArdourFolder], stemfix: Run, genuine: bytes
) -> None:
    mine = UiScripts(genuine).actions[1]
    ardour(ui_scripts=UiScripts(genuine).edited(dict.fromkeys((2, 3, 5, 6), mine), {}))
    done = stemfix("daw", "install", "ardour")
    assert "slots 7, 8, 9, 10, 11; the menu shows the first 9, the others take a key" in done.out


def test_the_doctor_looks_at_it(
    ardour: Callable[..., ArdourFolder], stemfix: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import stemfix.checks as checks

    for name in ("_packages", "_device", "_weights", "_self_test"):
        monkeypatch.setattr(checks, name, lambda: iter(()))

    def ardour_checks() -> list[tuple[str, str, str]]:
        return [(one.state, one.found, one.remedy) for one in all_checks() if one.name == "ardour"]

    assert ardour_checks() == []
    folder = ardour()
    assert ardour_checks()[0][0] == "hint"
    stemfix("daw", "install", "ardour")
    assert ardour_checks() == [("ok", "Ardour 7, 5 actions", "")]
    path = folder.scripts / "stemfix_settings.lua"
    path.write_bytes(path.read_bytes().replace(os.fsencode(sys.executable), b"/nowhere/python"))
    ((state, found, remedy),) = ardour_checks()
    assert state == "failed"
    assert found == "Ardour 7: its Python /nowhere/python is gone"
    assert remedy == "Close Ardour and run: stemfix daw install ardour"
    folder.ui_scripts.write_bytes(b"")
    assert ardour_checks()[0][0] == "failed"


def test_missing_scripts_are_told() -> None:
    with pytest.raises(StemfixError, match="Install stemfix again"):
        script_files("no_such_scripts")

"""The installer on a real Ardour: the actions are in its menu, and it leaves nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from app import HERE, Ardour, Home

from daw_bridge.ardour.bindings import ours
from daw_bridge.ardour.ui_scripts import EMPTY, Script, UiScripts

CONSOLE = HERE / "console.lua"
MENU = {
    2: "stemfix: Enhance selected region",
    3: "stemfix: Enhance selected region with preset...",
    4: "stemfix: Separate only",
    5: "stemfix: Import last result",
    6: "stemfix: Open comparison page",
}


@pytest.fixture
def bare(programs: None, tmp_path: Path) -> Home:
    """A home as the user's before stemfix: one script of the user's own is bound, and none is installed."""
    home = Home(tmp_path / "home", Path(sys.executable))
    shutil.rmtree(home.scripts)
    own = Script("test console", CONSOLE.read_bytes(), str(CONSOLE))
    (home.config / "ui_scripts").write_bytes(UiScripts(EMPTY).edited({1: own}, {}))
    return home


def stemfix(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stemfix", *arguments]
    return subprocess.run(
        command, env=home.environment(), capture_output=True, text=True, timeout=60, check=False
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_installed_actions_are_in_the_menu_and_run_and_go_again(bare: Home, screen: str) -> None:
    session = bare.new_session("song", 48_000)
    before = files_of(bare.config)
    done = stemfix(bare, "daw", "install", "ardour")
    assert done.returncode == 0, done.stderr
    assert "slots 2, 3, 4, 5, 6" in done.stdout
    installed = (bare.config / "ui_scripts").read_bytes()

    ardour = Ardour(bare, session, screen)
    try:
        labels = ardour.lua(
            """
            for _, group in pairs (ArdourUI.actionlist ()) do
              for label, path in pairs (group) do
                if path:find ("^LuaAction/script") then say (path, label) end
              end
            end
            """
        )
        shown = dict(line.split("\t") for line in labels)
        assert {slot: shown[f"LuaAction/script-{slot}"] for slot in MENU} == MENU

        for action in ("install", "uninstall"):
            refused = stemfix(bare, "daw", action, "ardour")
            assert refused.returncode == 2
            assert f"Ardour 7 is running (process {ardour.pid})" in refused.stderr

        # From the terminal over OSC, through the bound slot, the stub and the library to the action.
        asked = stemfix(bare, "ardour", "enhance-selected", "--preset", "fast")
        assert asked.returncode == 0, asked.stderr
        assert "open to your whole network" in asked.stderr
        log = ardour.wait_for_log("Select an audio region first")
        assert "Asked for the preset: fast" in log
        ardour.mouse("key", "Escape")
        ardour.quit()
    finally:
        ardour.kill()

    assert (bare.config / "ui_scripts").read_bytes() == installed
    scripts = UiScripts(installed)
    assert [hook.signals for hook in scripts.hooks if ours(hook.script)] == [1 << 47]
    done = stemfix(bare, "daw", "uninstall", "ardour")
    assert done.returncode == 0, done.stderr
    after = files_of(bare.config)
    assert after["ui_scripts"] == before["ui_scripts"]
    assert not [name for name in after if "stemfix" in name]

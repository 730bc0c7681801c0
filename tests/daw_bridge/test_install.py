from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from daw_bridge.ardour.bindings import bound
from daw_bridge.ardour.folders import ArdourFolder, ardour_folders
from daw_bridge.ardour.installer import FolderReport, install, read_settings, uninstall
from daw_bridge.ardour.lua_state import assignments
from daw_bridge.ardour.running import RunningArdour
from daw_bridge.ardour.settings import StubSettings
from daw_bridge.ardour.status import status
from daw_bridge.ardour.ui_scripts import SLOTS, Hook, Script, UiScripts
from engine.errors import OutputError, StemfixError
from engine.paths import data_dir

Tree = Callable[[Path], dict[str, bytes | None]]
Files = dict[str, bytes]
MakeArdour = Callable[..., ArdourFolder]


def found(folder: ArdourFolder) -> UiScripts:
    return UiScripts(folder.ui_scripts.read_bytes())


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def by_user(folder: ArdourFolder, slot: int) -> None:
    """The user binds a script of their own in Ardour."""
    scripts = found(folder)
    mine = Script("Mine", b"function factory () end", str(folder.scripts / "mine.lua"))
    folder.ui_scripts.write_bytes(scripts.edited({slot: mine}, {}))


@pytest.fixture
def go(settings: StubSettings, files: Files) -> Callable[..., list[FolderReport]]:
    def go(files: Mapping[str, bytes] = files, **changes: object) -> list[FolderReport]:
        return install(ardour_folders(), files, replace(settings, **changes))  # type: ignore[arg-type]

    return go


def test_the_actions_get_free_slots_and_the_users_stay(
    ardour: MakeArdour, go: Callable[..., list[FolderReport]], files: Files
) -> None:
    folder = ardour()
    before = found(folder)
    (report,) = go()
    assert report.changed
    assert report.notes == []
    after = found(folder)
    assert {slot: script.name for slot, script in after.actions.items()} == {
        1: "Count é",
        2: "stemfix: Enhance selected region",
        3: "stemfix: Separate only",
        4: "No origin <&>",
    }
    assert all(after.actions[slot] == before.actions[slot] for slot in before.actions)
    assert after.hooks[0] == before.hooks[0]
    assert [(hook.script.name, hook.signals) for hook in after.hooks[1:]] == [
        ("stemfix: Finish jobs", 1 << 47)
    ]
    assert report.bound.slots == {"stemfix_enhance.lua": [2], "stemfix_separate.lua": [3]}
    for name, data in files.items():
        assert (folder.scripts / name).read_bytes() == data
    assert after.actions[2].source == files["stemfix_enhance.lua"]
    assert after.actions[2].origin == str(folder.scripts / "stemfix_enhance.lua")
    assert (folder.scripts / "count.lua").exists()


def test_a_second_installation_changes_no_byte(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree
) -> None:
    folder = ardour()
    go()
    places = (folder.path, data_dir() / "daw")
    before = [(tree(place), times(place)) for place in places]
    (report,) = go()
    assert not report.changed
    assert [(tree(place), times(place)) for place in places] == before


@pytest.mark.parametrize("ui_scripts", ["genuine", "absent"])
def test_taking_it_out_puts_every_byte_back(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree, ui_scripts: str, genuine: bytes
) -> None:
    folder = ardour(ui_scripts=genuine if ui_scripts == "genuine" else None)
    (folder.scripts / "count.lua").unlink()
    folder.scripts.rmdir()
    before = tree(folder.path)
    go()
    go()
    (report,) = uninstall(ardour_folders())
    assert report.changed
    assert report.notes == []
    assert tree(folder.path) == before
    assert not (data_dir() / "daw" / "record.json").exists()
    assert [path.name for path in (data_dir() / "daw").rglob("*")] == []
    (report,) = uninstall(ardour_folders())
    assert not report.changed
    assert tree(folder.path) == before


def test_without_bindings_of_ardours_own_the_slots_of_its_examples_stay_free(
    ardour: MakeArdour, go: Callable[..., list[FolderReport]]
) -> None:
    ardour(ui_scripts=None)
    (report,) = go()
    assert report.bound.slots == {"stemfix_enhance.lua": [3], "stemfix_separate.lua": [4]}


def test_an_update_replaces_ours_only_and_still_can_be_taken_out(
    ardour: MakeArdour, go: Callable[..., list[FolderReport]], files: Files, tree: Tree
) -> None:
    folder = ardour()
    before = tree(folder.path)
    go()
    newer = {name: data.replace(b"stemfix: ", b"stemfix 2: ") for name, data in files.items()}
    newer["stemfix_more.lua"] = newer.pop("stemfix_separate.lua").replace(b"Separate only", b"More")
    (report,) = go(newer, version="2.0")
    assert report.notes == []
    after = found(folder)
    assert report.bound.slots == {"stemfix_enhance.lua": [2], "stemfix_more.lua": [5]}
    assert after.actions[2].name == "stemfix 2: Enhance selected region"
    assert after.actions[1].name == "Count é"
    assert [hook.script.name for hook in after.hooks] == ["My hook", "stemfix 2: Finish jobs"]
    assert not (folder.scripts / "stemfix_separate.lua").exists()
    uninstall(ardour_folders())
    assert tree(folder.path) == before


def test_what_the_user_bound_since_stays_when_it_is_taken_out(
    ardour: MakeArdour, go: Callable[..., object], genuine: bytes
) -> None:
    folder = ardour()
    go()
    by_user(folder, 7)
    (report,) = uninstall(ardour_folders())
    assert report.notes == [f"{folder.ui_scripts} was changed since: only stemfix's entries were taken out."]
    left = found(folder)
    assert left.actions.keys() == {1, 4, 7}
    assert [hook.script.name for hook in left.hooks] == ["My hook"]
    assert left.edited({7: None}, {}) == genuine
    assert not list(folder.scripts.glob("stemfix*"))


def test_what_the_user_bound_between_two_installations_stays(
    ardour: MakeArdour, go: Callable[..., object], genuine: bytes
) -> None:
    folder = ardour()
    go()
    by_user(folder, 7)
    go(version="2.0")
    (report,) = uninstall(ardour_folders())
    assert report.notes == []
    assert found(folder).edited({7: None}, {}) == genuine


def test_a_script_of_ours_that_the_user_moved_to_another_slot_is_not_bound_twice(
    ardour: MakeArdour, go: Callable[..., list[FolderReport]]
) -> None:
    folder = ardour()
    go()
    scripts = found(folder)
    folder.ui_scripts.write_bytes(scripts.edited({2: None, 9: scripts.actions[2]}, {}))
    (report,) = go()
    assert report.bound.slots == {"stemfix_separate.lua": [3], "stemfix_enhance.lua": [9]}


def test_scripts_that_the_user_changed_are_kept_as_a_copy(
    ardour: MakeArdour, go: Callable[..., object]
) -> None:
    folder = ardour()
    go()
    for step in (lambda: go(version="2.0"), lambda: uninstall(ardour_folders())):
        (folder.scripts / "stemfix_lib.lua").write_bytes(b"-- my own")
        (report,) = step()
        (note,) = report.notes
        assert "changed by hand" in note
        copy = Path(note.removesuffix(".").rsplit(" ", 1)[-1])
        assert copy.read_bytes() == b"-- my own"
        copy.unlink()
    assert not (folder.scripts / "stemfix_lib.lua").exists()


def test_a_file_of_the_same_name_comes_back(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree
) -> None:
    folder = ardour()
    (folder.scripts / "stemfix_lib.lua").write_bytes(b"-- somebody else's")
    before = tree(folder.path)
    go()
    uninstall(ardour_folders())
    assert tree(folder.path) == before


def test_without_its_record_it_is_taken_out_all_the_same(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree
) -> None:
    folder = ardour()
    before = tree(folder.path)
    go()
    for path in (data_dir() / "daw").rglob("record.json"):
        path.write_bytes(b"{")
    uninstall(ardour_folders())
    assert tree(folder.path) == before


def test_what_ardour_8_copied_from_7_becomes_its_own(
    ardour: MakeArdour, go: Callable[..., object], files: Files, settings: StubSettings
) -> None:
    seven = ardour()
    install([seven], files, settings)
    eight = ardour(8, seven.ui_scripts.read_bytes())
    for path in seven.scripts.iterdir():
        (eight.scripts / path.name).write_bytes(path.read_bytes())
    assert status(eight, files, "1.0").problems
    go({**files, "stemfix_lib.lua": b"-- newer"})
    assert not status(eight, {**files, "stemfix_lib.lua": b"-- newer"}, "1.0").problems
    assert found(eight).actions[2].origin == str(eight.scripts / "stemfix_enhance.lua")
    uninstall(ardour_folders())
    assert [path.name for path in eight.scripts.iterdir()] == ["count.lua"]
    assert eight.ui_scripts.read_bytes() == seven.ui_scripts.read_bytes()


def test_every_version_is_served(
    ardour: MakeArdour, go: Callable[..., list[FolderReport]], tree: Tree
) -> None:
    folders = [ardour(7), ardour(8, None), ardour(9)]
    before = [tree(folder.path) for folder in folders]
    reports = go()
    assert [report.folder.version for report in reports] == [7, 8, 9]
    timer = [found(folder).hooks[-1].signals for folder in folders]
    assert timer == [1 << 47, 1 << 47, 1 << 47 | 1 << 49]
    uninstall(ardour_folders())
    assert [tree(folder.path) for folder in folders] == before


def test_full_slots_are_refused(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree, genuine: bytes
) -> None:
    full = Script("Full", b"function factory () end", "/full.lua")
    slots = dict.fromkeys(UiScripts(genuine).free_slots()[1:], full)
    folder = ardour(ui_scripts=UiScripts(genuine).edited(slots, {}))
    assert len(found(folder).actions) == SLOTS - 1
    before = tree(folder.path)
    with pytest.raises(StemfixError, match="1 of its 32 script slots free, and 2 are needed"):
        go()
    assert tree(folder.path) == before


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_while_ardour_runs_nothing_is_changed(
    ardour: MakeArdour,
    go: Callable[..., object],
    tree: Tree,
    no_ardour_runs: list[RunningArdour],
    action: str,
) -> None:
    seven, eight = ardour(7), ardour(8)
    if action == "uninstall":
        go()
    before = [tree(seven.path), tree(eight.path)]
    no_ardour_runs.append(RunningArdour(4711, 8, eight.path.parent))
    with pytest.raises(StemfixError, match=r"Ardour 8 is running \(process 4711\).*Close Ardour"):
        go(version="2.0") if action == "install" else uninstall(ardour_folders())
    assert [tree(seven.path), tree(eight.path)] == before


def test_one_broken_file_keeps_all_folders_as_they_are(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree
) -> None:
    seven, eight = ardour(7), ardour(8, b"<UIScripts><ActionScript>")
    before = [tree(seven.path), tree(eight.path)]
    with pytest.raises(StemfixError) as refused:
        go()
    assert str(eight.ui_scripts) in str(refused.value)
    assert "not whole XML" in str(refused.value)
    assert "Move it away" in str(refused.value)
    assert [tree(seven.path), tree(eight.path)] == before


def test_without_ardour_it_says_where_it_looked(go: Callable[..., object], private_folders: Path) -> None:
    with pytest.raises(StemfixError, match=r"no configuration of Ardour 7, 8 or 9 in .*Start Ardour once"):
        go()


def test_a_folder_that_can_not_be_written_is_left_as_it_is(
    ardour: MakeArdour, go: Callable[..., object], tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ardour()
    before = tree(folder.path)
    if os.name == "posix" and os.getuid() != 0:
        folder.path.chmod(0o500)
        folder.scripts.chmod(0o500)
    else:  # nothing is read-only to this user
        opened = open

        def refuses(path: object, mode: str = "r", *rest: object) -> object:
            if "w" in mode and str(path).startswith(str(folder.path)):
                raise PermissionError(13, "Permission denied")
            return opened(path, mode, *rest)  # type: ignore[call-overload]

        monkeypatch.setattr("builtins.open", refuses)
    with pytest.raises(OutputError, match=r"Permission denied\. Nothing was changed"):
        go()
    folder.path.chmod(0o700)
    folder.scripts.chmod(0o700)
    assert tree(folder.path) == before


KILLED = """
import os, sys
from daw_bridge.ardour.folders import ardour_folders
from daw_bridge.ardour.installer import install
from daw_bridge.ardour.settings import StubSettings
left = int(sys.argv[1])
replace = os.replace
def count(source, target):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
    replace(source, target)
os.replace = count
script = 'ardour {{ ["type"] = "EditorAction", name = "stemfix: {0}" }} function factory () end'
files = {f"stemfix_{name}.lua": script.format(name).encode() for name in ("enhance", "separate")}
install(ardour_folders(), files, StubSettings("/p", "/d", "1"), running=[])
"""


@pytest.mark.parametrize("step", range(6))
def test_killed_at_any_moment_it_can_be_done_again_and_taken_out(
    ardour: MakeArdour, tree: Tree, step: int
) -> None:
    folder = ardour()
    before = tree(folder.path)

    def run(steps: int) -> int:
        return subprocess.run([sys.executable, "-c", KILLED, str(steps)], check=False).returncode

    assert run(step) == 9
    # The bindings are the old ones until all else is there.
    assert folder.ui_scripts.read_bytes() == before["ui_scripts"]
    if step % 2:
        assert run(99) == 0
        assert bound(found(folder)).slots == {"stemfix_enhance.lua": [2], "stemfix_separate.lua": [3]}
    uninstall(ardour_folders())
    assert tree(folder.path) == before


def test_the_users_choices_outlive_an_update(ardour: MakeArdour, go: Callable[..., object]) -> None:
    folder = ardour()
    go(preset="fast", background=True)
    go(version="2.0", python="/elsewhere/python")
    told = read_settings(folder)
    assert told is not None
    assert (told.preset, told.background) == ("fast", True)
    assert (told.version, told.python) == ("2.0", "/elsewhere/python")
    path = folder.scripts / "stemfix_settings.lua"
    path.write_bytes(
        path.read_bytes().replace(b'"fast",', b'"mine", -- by hand', 1).replace(b"-- by hand", b"")
    )
    go(version="3.0")
    told = read_settings(folder)
    assert told is not None
    assert (told.preset, told.background) == ("mine", True)


def test_any_path_survives_in_the_settings() -> None:
    odd = 'C:\\Users\\Ünï\\"quoted"\n]] .. os.exit () --'
    settings = StubSettings(odd, odd, "1", presets=(odd,), environment={"STEMFIX_DATA_DIR": odd})
    data = settings.to_lua()
    assert data.isascii()
    told = StubSettings.from_lua(data)
    assert told is not None
    assert (told.python, told.data_dir) == (odd, odd)
    # Nothing of it is outside of a string.
    assert len([line for line in data.splitlines() if line]) == 10
    assert assignments(b"x = " + data.split(b"python = ")[1].split(b",\n")[0])[0].value == odd.encode()


def test_the_status_finds_what_is_wrong(ardour: MakeArdour, go: Callable[..., object], files: Files) -> None:
    folder = ardour()
    assert not status(folder, files, "1.0").is_installed
    go(python=sys.executable)
    fine = status(folder, files, "1.0")
    assert (fine.is_installed, fine.problems, fine.hints) == (True, [], [])
    assert "is of stemfix 1.0" in status(folder, files, "2.0").hints[0]
    assert "not those" in status(folder, {**files, "stemfix_lib.lua": b"other"}, "1.0").hints[0]
    (folder.path / "ui_config").write_text('<Option name="sandbox-all-lua-scripts" value="1"/>')
    assert "Sandbox" in status(folder, files, "1.0").problems[0]
    (folder.path / "ui_config").unlink()
    go(python="/nowhere/python")
    assert "/nowhere/python is gone" in status(folder, files, "1.0").problems[0]
    go(python=sys.executable)
    (folder.scripts / "stemfix_lib.lua").unlink()
    assert "stemfix_lib.lua missing" in status(folder, files, "1.0").problems[0]
    go()
    folder.ui_scripts.write_bytes(found(folder).edited({2: None}, {}))
    assert "not bound" in status(folder, files, "1.0").problems[-1]
    folder.ui_scripts.write_bytes(found(folder).edited({}, {1: Hook(found(folder).hooks[1].script, 1)}))
    go()
    (folder.scripts / "stemfix_settings.lua").unlink()
    assert "stemfix_settings.lua is missing" in status(folder, files, "1.0").problems[0]

"""Install stemfix's actions into REAPER's resource folders, and take them out again.

While REAPER runs nothing is changed, since it would overwrite its files as it closes. Everything changes
together or not at all, and a second installation changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daw_bridge.installing import one_at_a_time
from daw_bridge.reaper.ext_state import read_section, with_values, without_section
from daw_bridge.reaper.folders import ReaperFolder, required
from daw_bridge.reaper.keymap import FOLDER, Registered, register, registered, unregister
from daw_bridge.reaper.running import running_reapers
from daw_bridge.reaper.startup import OFFER, has_lines, with_lines, without_lines
from daw_bridge.record import Installed, Record, load_record
from daw_bridge.transaction import TEMPORARY_SUFFIX, Transaction, content
from engine.errors import StemfixError

_SCRIPTS = f"Scripts/{FOLDER}"
_KEYMAP, _EXT_STATE, _STARTUP = "reaper-kb.ini", "reaper-extstate.ini", "Scripts/__startup.lua"
#: Files that are not stemfix's own, and get a part of it.
_SHARED = {_KEYMAP, _EXT_STATE, _STARTUP}
#: The optional ReaScript that serves `stemfix reaper`.
SERVER = "stemfix_Serve stemfix in the terminal.py"


@dataclass(frozen=True)
class FolderReport:
    """What was done to one folder, in words for the user, and the actions that are registered there now."""

    folder: ReaperFolder
    actions: list[Registered]
    changed: bool
    notes: list[str]


def action_names(files: Iterable[str]) -> list[str]:
    """Those of the scripts that are actions; the others, in folders, are their parts."""
    return [name for name in files if "/" not in name]


def install(
    folders: list[ReaperFolder],
    files: Mapping[str, bytes],
    values: Mapping[str, str],
    running: Iterable[int] | None = None,
) -> list[FolderReport]:
    """Copy `files` (path -> content) to `Scripts/stemfix`, tell them `values`, and register the actions.

    Raises StemfixError, and then nothing is changed.
    """
    with one_at_a_time():
        refuse_running(folders, running)
        transaction = Transaction()
        reports = [_install(folder, files, values, transaction) for folder in folders]
        refuse_running(folders, running)
        transaction.commit()
    return reports


def uninstall(folders: list[ReaperFolder], running: Iterable[int] | None = None) -> list[FolderReport]:
    """Put back what was there before the installation; where it changed since, take out stemfix's part.

    Raises StemfixError, and then nothing is changed.
    """
    with one_at_a_time():
        refuse_running(folders, running)
        transaction = Transaction()
        reports = [_uninstall(folder, transaction) for folder in folders]
        refuse_running(folders, running)
        transaction.commit()
    return reports


def refuse_running(folders: list[ReaperFolder], running: Iterable[int] | None = None) -> None:
    """Raise StemfixError if there is no folder, or a REAPER runs that may have it open."""
    required(folders)
    pids = list(running_reapers() if running is None else running)
    if pids:
        raise StemfixError(
            f"REAPER is running (process {pids[0]}) and would overwrite its settings as it closes.",
            "Close REAPER and try again.",
        )


def _install(
    folder: ReaperFolder, files: Mapping[str, bytes], values: Mapping[str, str], transaction: Transaction
) -> FolderReport:
    record = load_record(folder)
    changes_before = transaction.changes
    notes: list[str] = []
    wanted = {f"{_SCRIPTS}/{name}": data for name, data in files.items()}
    if not folder.scripts.exists():
        record.made_scripts_folder = True

    for name in [name for name in record.files if name not in wanted and name not in _SHARED]:
        _put_back(name, record, transaction, notes)
        del record.files[name]
    for name, data in wanted.items():
        now = content(folder.path / name)
        there = record.files.get(name)
        if there is None:
            record.files[name] = there = Installed((), None if now == data else now)
        elif now not in (None, data) and not there.is_unchanged(now):
            notes.append(_kept(record, name, now, transaction))
        record.files[name] = Installed(there.followed_by(data), there.before)

    after: dict[str, bytes] = {}
    for name in (_EXT_STATE, _KEYMAP, _STARTUP):
        now = content(folder.path / name)
        if name == _EXT_STATE:
            after[name] = with_values(now, dict(values))
        elif name == _KEYMAP:
            after[name] = register(now, action_names(files))
        elif (command := _command_of(OFFER, after[_KEYMAP])) is not None:
            after[name] = with_lines(now, command)
        if name in after:
            _note_change(record, name, now, after[name])

    record.save(transaction)
    for name, data in wanted.items():
        transaction.write(folder.path / name, data)
    for name in (_STARTUP, _EXT_STATE, _KEYMAP):  # the actions come last, when all else is there
        if name in after:
            transaction.write(folder.path / name, after[name])
    actions = registered(after[_KEYMAP])
    for one in actions:
        if not one.is_installers:
            notes.append(
                f"{one.file_name} is registered from {one.path} already, as by ReaPack; that one stays."
            )
    return FolderReport(folder, actions, transaction.changes > changes_before, notes)


def _command_of(file_name: str, keymap: bytes) -> str | None:
    return next((one.command for one in registered(keymap) if one.file_name == file_name), None)


def _note_change(record: Record, name: str, now: bytes | None, after: bytes) -> None:
    """Remember what uninstalling puts back: what was there before the first installation, or since then
    what REAPER and the user made of it, without stemfix's part.
    """
    there = record.files.get(name)
    if there is None or not there.is_unchanged(now):
        there = Installed((), _without(name, now))
    record.files[name] = Installed(there.followed_by(after), there.before)


def _without(name: str, data: bytes | None) -> bytes | None:
    """A shared file without stemfix's part."""
    if data is None:
        return None
    if name == _KEYMAP:
        return unregister(data)
    if name == _EXT_STATE:
        return without_section(data) if read_section(data) is not None else data
    return without_lines(data) if has_lines(data) else data


def _uninstall(folder: ReaperFolder, transaction: Transaction) -> FolderReport:
    record = load_record(folder)
    changes_before = transaction.changes
    notes: list[str] = []
    for name in sorted(_SHARED):
        now = content(folder.path / name)
        after = _before(record, name, now)
        if after is None:
            transaction.remove(folder.path / name)
        else:
            transaction.write(folder.path / name, after)
    place = folder.scripts / FOLDER
    found = (*place.glob("stemfix_*"), *(place / FOLDER).glob("*.lua"))
    names = {path.relative_to(folder.path).as_posix() for path in found}
    for name in sorted((names | record.files.keys()) - _SHARED):
        _put_back(name, record, transaction, notes)
    for left_over in place.rglob(f".*{TEMPORARY_SUFFIX}"):
        transaction.remove(left_over)
    record.forget(transaction)
    for inner in (place / FOLDER, place):
        transaction.remove_folder_if_empty(inner)
    if record.made_scripts_folder:
        transaction.remove_folder_if_empty(folder.scripts)
    left = [one for one in registered(content(folder.keymap)) if not one.is_installers]
    return FolderReport(folder, left, transaction.changes > changes_before, notes)


def _before(record: Record, name: str, now: bytes | None) -> bytes | None:
    there = record.files.get(name)
    if there is not None and there.is_unchanged(now):
        return there.before
    after = _without(name, now)
    return None if there is not None and there.before is None and after == b"" else after


def _put_back(name: str, record: Record, transaction: Transaction, notes: list[str]) -> None:
    """Put back what was at one of our scripts' places; what the user made of it is kept as a copy."""
    path = record.folder.path / name
    now = content(path)
    there = record.files.get(name, Installed((), None))
    if now is not None and not there.is_unchanged(now):
        notes.append(_kept(record, name, now, transaction))
    if there.before is None:
        transaction.remove(path)
    else:
        transaction.write(path, there.before)


def _kept(record: Record, name: str, data: bytes, transaction: Transaction) -> str:
    copy = record.keep_copy(transaction, name, data)
    return f"{record.folder.path / name} was changed by hand; a copy of it is {copy}."

"""Install stemfix's actions into Ardour's configuration folders, and take them out again.

While Ardour runs nothing is changed, since it would overwrite its file of bindings. All folders change
together or not at all, and a second installation changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from daw_bridge.ardour.bindings import Bound, bind, bound, unbind
from daw_bridge.ardour.folders import VERSIONS, ArdourFolder, config_base
from daw_bridge.ardour.running import RunningArdour, marked_as_open, running_ardours, users_of
from daw_bridge.ardour.settings import FILE_NAME, StubSettings
from daw_bridge.ardour.ui_scripts import EMPTY, UiScripts, UiScriptsError
from daw_bridge.installing import one_at_a_time
from daw_bridge.record import Installed, Record, load_record
from daw_bridge.transaction import TEMPORARY_SUFFIX, Transaction, content
from engine.errors import StemfixError

UI_SCRIPTS = "ui_scripts"


@dataclass(frozen=True)
class FolderReport:
    """What was done to one folder, in words for the user, and what is bound there now."""

    folder: ArdourFolder
    bound: Bound
    changed: bool
    notes: list[str]


def install(
    folders: Iterable[ArdourFolder],
    files: Mapping[str, bytes],
    settings: StubSettings,
    running: Iterable[RunningArdour] | None = None,
) -> list[FolderReport]:
    """Put `files` (name -> content) and `settings` into the folders and bind what the files declare.

    Raises StemfixError, and then nothing is changed.
    """
    with one_at_a_time():
        folders = refuse_running(folders, running)
        transaction = Transaction()
        reports = [_install(folder, files, settings, transaction) for folder in folders]
        refuse_running(folders, running)
        transaction.commit()
    return reports


def uninstall(
    folders: Iterable[ArdourFolder], running: Iterable[RunningArdour] | None = None
) -> list[FolderReport]:
    """Put back what was there before the installation; where the user changed it since, take out our part.

    Raises StemfixError, and then nothing is changed.
    """
    with one_at_a_time():
        folders = refuse_running(folders, running)
        transaction = Transaction()
        reports = [_uninstall(folder, transaction) for folder in folders]
        refuse_running(folders, running)
        transaction.commit()
    return reports


def refuse_running(
    folders: Iterable[ArdourFolder], running: Iterable[RunningArdour] | None = None
) -> list[ArdourFolder]:
    """The folders as a list, if there is one and no Ardour has them open. Raises StemfixError."""
    folders = list(folders)
    if not folders:
        versions = ", ".join(map(str, VERSIONS[:-1])) + f" or {VERSIONS[-1]}"
        raise StemfixError(
            f"There is no configuration of Ardour {versions} in {config_base(os.environ)}.",
            "Start Ardour once, close it, and try again.",
        )
    running = list(running_ardours() if running is None else running)
    for folder in folders:
        if users := users_of(folder, running):
            raise StemfixError(
                f"{folder.name} is running (process {users[0].pid}) and would overwrite its settings.",
                "Close Ardour and try again.",
            )
        if mark := marked_as_open(folder):
            raise StemfixError(
                f"{folder.name} seems to be running: {mark} names its address.",
                "Close Ardour, or delete that file, and try again.",
            )
    return folders


def read_ui_scripts(folder: ArdourFolder) -> UiScripts:
    """The bindings of a folder; empty ones if Ardour has not written any. Raises StemfixError."""
    data = content(folder.ui_scripts)
    try:
        return UiScripts(EMPTY if data is None else data)
    except UiScriptsError as error:
        raise StemfixError(
            f"{folder.ui_scripts} can't be used: {error}. It was left as it is.",
            "Move it away (Ardour then begins with a new one), and try again.",
        ) from error


def read_settings(folder: ArdourFolder) -> StubSettings | None:
    """What the installed scripts were told; None if there are none."""
    data = content(folder.scripts / FILE_NAME)
    return None if data is None else StubSettings.from_lua(data)


def _install(
    folder: ArdourFolder, files: Mapping[str, bytes], settings: StubSettings, transaction: Transaction
) -> FolderReport:
    scripts = read_ui_scripts(folder)
    record = load_record(folder)
    changes_before = transaction.changes
    notes: list[str] = []
    settings = settings.over(read_settings(folder))
    # Ardour copies the scripts and their bindings when it takes over the settings of the version before it.
    is_copy = not record.files and bool(bound(scripts).slots)
    wanted = {f"scripts/{name}": data for name, data in (*files.items(), (FILE_NAME, settings.to_lua()))}
    if not folder.scripts.exists():
        record.made_scripts_folder = True

    for name in [name for name in record.files if name not in wanted and name != UI_SCRIPTS]:
        _put_back(name, record, transaction, notes)
        del record.files[name]
    for name, data in wanted.items():
        now = content(folder.path / name)
        there = record.files.get(name)
        if there is None:
            record.files[name] = there = Installed((), None if is_copy or now == data else now)
        elif now not in (None, data) and not there.is_unchanged(now) and name != f"scripts/{FILE_NAME}":
            notes.append(_kept(record, name, now, transaction))
        record.files[name] = Installed(there.followed_by(data), there.before)

    now = content(folder.ui_scripts)
    after = bind(folder, scripts, files, is_new=now is None)
    there = record.files.get(UI_SCRIPTS)
    if there is None or not there.is_unchanged(now):
        has_ours = bool(bound(scripts).slots or bound(scripts).hooks)
        there = Installed((), unbind(scripts) if has_ours else now)
    record.files[UI_SCRIPTS] = Installed(there.followed_by(after), there.before)

    record.save(transaction)
    for name, data in wanted.items():
        transaction.write(folder.path / name, data)
    transaction.write(folder.ui_scripts, after)
    return FolderReport(folder, bound(UiScripts(after)), transaction.changes > changes_before, notes)


def _uninstall(folder: ArdourFolder, transaction: Transaction) -> FolderReport:
    record = load_record(folder)
    changes_before = transaction.changes
    notes: list[str] = []
    now = content(folder.ui_scripts)
    there = record.files.get(UI_SCRIPTS)
    after = now
    if there is not None and there.is_unchanged(now):
        after = there.before
    elif now is not None:
        after = unbind(read_ui_scripts(folder))
        if after != now:
            notes.append(f"{folder.ui_scripts} was changed since: only stemfix's entries were taken out.")
    if after is None:
        transaction.remove(folder.ui_scripts)
    else:
        transaction.write(folder.ui_scripts, after)

    names = {f"scripts/{path.name}" for path in folder.scripts.glob("stemfix_*.lua")}
    for name in sorted(names | (record.files.keys() - {UI_SCRIPTS})):
        _put_back(name, record, transaction, notes)
    for left_over in folder.scripts.glob(f".stemfix_*{TEMPORARY_SUFFIX}"):
        transaction.remove(left_over)
    if record.made_scripts_folder:
        transaction.remove_folder_if_empty(folder.scripts)
    record.forget(transaction)
    left = bound(UiScripts(EMPTY if after is None else after))
    return FolderReport(folder, left, transaction.changes > changes_before, notes)


def _put_back(name: str, record: Record, transaction: Transaction, notes: list[str]) -> None:
    """Put back what was at one of our scripts' places before; what the user made of it is kept as a copy."""
    path = record.folder.path / name
    now = content(path)
    there = record.files.get(name, Installed((), None))
    if now is not None and not there.is_unchanged(now) and path.name != FILE_NAME:
        notes.append(_kept(record, name, now, transaction))
    if there.before is None:
        transaction.remove(path)
    else:
        transaction.write(path, there.before)


def _kept(record: Record, name: str, data: bytes, transaction: Transaction) -> str:
    copy = record.keep_copy(transaction, name, data)
    return f"{record.folder.path / name} was changed by hand; a copy of it is {copy}."

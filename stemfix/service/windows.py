"""WindowsService: a scheduled task that starts at the user's logon, for Windows."""

from __future__ import annotations

import codecs
import os
import subprocess
import xml.etree.ElementTree as xml
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.errors import OutputError
from engine.paths import data_dir
from stemfix.service.service import Outcome, ServiceState, file_state, removed, require_ours, written
from stemfix.service.tool import RunTool, run_tool
from stemfix.service.unit_file import MARK, UnitFile, is_ours

TASK = "stemfix"
NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"

#: In the order in which Windows itself writes them.
_SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "AllowStartOnDemand": "true",
    "Enabled": "true",
    "Hidden": "false",
    "RunOnlyIfIdle": "false",
    "WakeToRun": "false",
    # Without limit.
    "ExecutionTimeLimit": "PT0S",
    # Below normal: a DAW on the same machine goes before.
    "Priority": "7",
}
#: It comes back a minute after a crash, as often as the schema allows.
_RESTART = {"Interval": "PT1M", "Count": "255"}


class WindowsService:
    """See `stemfix.service.service.Service`.

    A task has no environment of its own, so variables have to be set for the user.

    Args:
        command: what to run; the first is an absolute path.
        environment: variables that it needs.
        folder: where the description of the task is kept.
        run: calls schtasks.
        user: `DOMAIN\\name`.
    """

    kind = "Windows scheduled task"

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        run: RunTool = run_tool,
        user: str | None = None,
    ) -> None:
        description = task_xml(command, user or _this_user())
        self.file = UnitFile((folder or data_dir() / "service") / "stemfix-task.xml", description)
        self._environment = environment
        self._run = run

    def install(self) -> Outcome:
        """Describe the task to the Task Scheduler and run it; one that is there goes on undisturbed."""
        require_ours(self.file)
        there = self._task()
        if there is not None and not is_ours(there):
            raise OutputError(
                f"There is a task '{TASK}' that was not made by stemfix.", "It was left as it is."
            )
        outcome = Outcome()
        changed = written(self.file, outcome)
        for name, value in self._environment.items():
            outcome.to_type.append(f'setx {name} "{value}"')
        if there is not None and not changed:
            return outcome
        steps = [
            ("schtasks", "/Create", "/TN", TASK, "/XML", str(self.file.path), "/F"),
            ("schtasks", "/Run", "/TN", TASK),
        ]
        for number, step in enumerate(steps):
            answer = self._run(step)
            if not answer.ok:
                outcome.lines.append(f"The Task Scheduler refused: {answer.last_line.rstrip('.')}.")
                outcome.to_type += [subprocess.list2cmdline(left) for left in steps[number:]]
                return outcome
        outcome.lines.append("It runs now, and starts when you log on.")
        return outcome

    def uninstall(self) -> Outcome:
        """End the task, delete it, and remove its description."""
        require_ours(self.file)
        there = self._task()
        if there is not None and not is_ours(there):
            raise OutputError(f"The task '{TASK}' was not made by stemfix.", "It was left as it is.")
        outcome = Outcome()
        if there is not None:
            self._run(("schtasks", "/End", "/TN", TASK))
            answer = self._run(("schtasks", "/Delete", "/TN", TASK, "/F"))
            if not answer.ok:
                raise OutputError(
                    f"The Task Scheduler refused: {answer.last_line.rstrip('.')}.",
                    f"Type: schtasks /Delete /TN {TASK} /F",
                )
            outcome.lines.append(f"Deleted the task '{TASK}'.")
        if self.file.read() is not None:
            removed(self.file, outcome)
        if not outcome.lines:
            outcome.lines.append(f"There is nothing to remove: {self.file.path}")
        return outcome

    def state(self) -> ServiceState:
        """What the file and the Task Scheduler say; whether it runs is told only in the system's language."""
        there = self._task()
        found = file_state(self.kind, self.file)
        return replace(
            found,
            installed=there is not None,
            is_ours=there is not None and is_ours(there),
            up_to_date=there is not None and found.up_to_date,
            starts_at_logon=there is not None,
        )

    def _task(self) -> str | None:
        """The task as the Task Scheduler has it; None if it has none."""
        answer = self._run(("schtasks", "/Query", "/TN", TASK, "/XML"))
        return answer.out if answer.ok else None


def task_xml(command: Sequence[str], user: str) -> bytes:
    """The description of the task, in UTF-16: Task Scheduler schema, version 1.2."""
    task = xml.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    about = xml.SubElement(task, "RegistrationInfo")
    _leaf(about, "Author", "stemfix")
    _leaf(about, "Description", f"stemfix: audio engine and watched folders. {MARK}")
    logon = xml.SubElement(xml.SubElement(task, "Triggers"), "LogonTrigger")
    _leaf(logon, "Enabled", "true")
    _leaf(logon, "UserId", user)
    principal = xml.SubElement(xml.SubElement(task, "Principals"), "Principal", {"id": "Author"})
    _leaf(principal, "UserId", user)
    _leaf(principal, "LogonType", "InteractiveToken")
    _leaf(principal, "RunLevel", "LeastPrivilege")
    settings = xml.SubElement(task, "Settings")
    for name, value in _SETTINGS.items():
        _leaf(settings, name, value)
    restart = xml.SubElement(settings, "RestartOnFailure")
    for name, value in _RESTART.items():
        _leaf(restart, name, value)
    run = xml.SubElement(xml.SubElement(task, "Actions", {"Context": "Author"}), "Exec")
    program, *arguments = command
    _leaf(run, "Command", program)
    _leaf(run, "Arguments", subprocess.list2cmdline(arguments))
    xml.indent(task)
    body = xml.tostring(task, encoding="unicode")
    # schtasks asks for this declaration and the byte order mark.
    text = f'<?xml version="1.0" encoding="UTF-16"?>\n{body}\n'.replace("\n", "\r\n")
    return codecs.BOM_UTF16_LE + text.encode("utf-16-le")


def _leaf(parent: xml.Element, name: str, text: str) -> None:
    xml.SubElement(parent, name).text = text


def _this_user() -> str:
    import getpass

    domain = os.environ.get("USERDOMAIN", "").strip()
    return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()

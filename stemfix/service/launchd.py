"""LaunchdService: an agent of the user's launchd, for macOS."""

from __future__ import annotations

import os
import plistlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stemfix.service.service import (
    Outcome,
    ServiceState,
    file_state,
    quoted,
    removed,
    require_ours,
    written,
)
from stemfix.service.tool import RunTool, run_tool
from stemfix.service.unit_file import MARK, UnitFile

LABEL = "stemfix.up"

#: launchd's own search path lacks the folders of Homebrew and MacPorts, where ffmpeg lies.
_PATH = "/opt/homebrew/bin:/usr/local/bin:/opt/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


class LaunchdService:
    """See `stemfix.service.service.Service`.

    Args:
        command: what to run; the first is an absolute path.
        environment: variables that it needs.
        folder: where the user's agents lie.
        run: calls launchctl.
    """

    kind = "launchd agent"

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        run: RunTool = run_tool,
    ) -> None:
        folder = folder or Path.home() / "Library" / "LaunchAgents"
        self.file = UnitFile(folder / f"{LABEL}.plist", agent_plist(command, environment))
        self._run = run
        self._domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 0}"

    def install(self) -> Outcome:
        """Write the agent and load it; one that is loaded already goes on undisturbed."""
        require_ours(self.file)
        outcome = Outcome()
        changed = written(self.file, outcome)
        target = f"{self._domain}/{LABEL}"
        loaded = self._run(("launchctl", "print", target)).ok
        if loaded and not changed:
            return outcome
        if loaded:
            self._run(("launchctl", "bootout", target))
        steps = [
            ("launchctl", "enable", target),
            ("launchctl", "bootstrap", self._domain, str(self.file.path)),
        ]
        for number, step in enumerate(steps):
            answer = self._run(step)
            if not answer.ok:
                outcome.lines.append(f"launchd can't be asked from here: {answer.last_line.rstrip('.')}.")
                outcome.to_type = [quoted(left) for left in steps[number:]]
                return outcome
        outcome.lines.append("It runs now, and starts when you log on.")
        return outcome

    def uninstall(self) -> Outcome:
        """Unload the agent and remove its file."""
        require_ours(self.file)
        outcome = Outcome()
        if self.file.read() is None:
            outcome.lines.append(f"There is nothing to remove: {self.file.path}")
            return outcome
        target = f"{self._domain}/{LABEL}"
        if self._run(("launchctl", "print", target)).ok:
            answer = self._run(("launchctl", "bootout", target))
            if not answer.ok:
                outcome.lines.append(f"launchd did not unload it: {answer.last_line.rstrip('.')}.")
                outcome.to_type = [quoted(("launchctl", "bootout", target))]
        removed(self.file, outcome)
        return outcome

    def state(self) -> ServiceState:
        """What the file and launchd say."""
        answer = self._run(("launchctl", "print", f"{self._domain}/{LABEL}"))
        return replace(
            file_state(self.kind, self.file),
            starts_at_logon=answer.ok,
            running=answer.ok and "state = running" in answer.out,
        )


def agent_plist(command: Sequence[str], environment: Mapping[str, str]) -> bytes:
    """The property list of the agent: launchd.plist(5)."""
    agent: dict[str, Any] = {
        "Label": LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": {"PATH": _PATH, **environment},
        "RunAtLoad": True,
        # It comes back after a crash, but not after it was told to stop.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 10,
        "ExitTimeOut": 20,
        # Music comes first: a DAW on the same machine goes before.
        "Nice": 5,
        "ProcessType": "Standard",
    }
    written = plistlib.dumps(agent, sort_keys=False)
    return written.replace(b"<plist ", f"<!-- {MARK} -->\n<plist ".encode(), 1)

"""SystemdService: a unit of the user's own systemd, for Linux."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from engine.errors import OptionError
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

UNIT = "stemfix.service"

_TEMPLATE = """\
# {mark}
# A change of yours belongs into: systemctl --user edit {unit}
[Unit]
Description=stemfix: audio engine and watched folders

[Service]
Type=exec
ExecStart={command}
{environment}# It comes back after a crash, but not where the configuration is wrong or one runs already.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
# `stemfix up` stops its parts itself; what is left after that is killed.
KillMode=mixed
TimeoutStopSec=20
# Music comes first: a DAW on the same machine goes before.
Nice=5

# Hardening that never stands between stemfix and the user's files: songs lie anywhere, so no part of the file
# system is hidden or read-only, and nothing here needs a name space, which not every system grants its users.
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictNamespaces=yes
SystemCallArchitectures=native
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK

[Install]
WantedBy=default.target
"""

_SYSTEMCTL = ("systemctl", "--user")


class SystemdService:
    """See `stemfix.service.service.Service`.

    Args:
        command: what to run; the first is an absolute path.
        environment: variables that it needs.
        folder: where the user's units lie.
        run: calls systemctl.
    """

    kind = "systemd user unit"

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: Path | None = None,
        run: RunTool = run_tool,
    ) -> None:
        self.file = UnitFile((folder or _unit_folder()) / UNIT, unit_text(command, environment).encode())
        self._run = run

    def install(self) -> Outcome:
        """Write the unit, enable it and start it; one that is running already goes on undisturbed."""
        require_ours(self.file)
        outcome = Outcome()
        changed = written(self.file, outcome)
        steps = [
            (*_SYSTEMCTL, "daemon-reload"),
            (*_SYSTEMCTL, "enable", UNIT),
            (*_SYSTEMCTL, "restart" if changed else "start", UNIT),
        ]
        if self._carry_out(steps, outcome):
            outcome.lines.append("It runs now, and starts when you log on.")
        return outcome

    def uninstall(self) -> Outcome:
        """Stop and disable the unit, and remove its file."""
        require_ours(self.file)
        outcome = Outcome()
        if self.file.read() is None:
            outcome.lines.append(f"There is nothing to remove: {self.file.path}")
            return outcome
        self._carry_out([(*_SYSTEMCTL, "disable", "--now", UNIT)], outcome)
        removed(self.file, outcome)
        # Where systemctl could not be asked, its link is still there.
        link = self.file.path.parent / "default.target.wants" / UNIT
        if link.is_symlink():
            with suppress(OSError):
                link.unlink()
        self._run((*_SYSTEMCTL, "daemon-reload"))
        return outcome

    def state(self) -> ServiceState:
        """What the file and systemd say."""
        found = file_state(self.kind, self.file)
        enabled = self._run((*_SYSTEMCTL, "is-enabled", UNIT)).out.strip()
        active = self._run((*_SYSTEMCTL, "is-active", UNIT)).out.strip()
        return replace(
            found,
            starts_at_logon={"enabled": True, "disabled": False}.get(enabled),
            running={"active": True, "inactive": False, "failed": False}.get(active),
        )

    def _carry_out(self, steps: Sequence[Sequence[str]], outcome: Outcome) -> bool:
        """Do the steps in order; from the first that fails on they are left to the user."""
        for number, step in enumerate(steps):
            answer = self._run(step)
            if not answer.ok:
                outcome.lines.append(f"systemd can't be asked from here: {answer.last_line.rstrip('.')}.")
                outcome.to_type = [quoted(left) for left in steps[number:]]
                return False
        return True


def unit_text(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The unit file. Raises OptionError for a program that systemd can't start."""
    program, *arguments = command
    if (
        not os.path.isabs(program)
        or any(character in program for character in "\"'\\")
        or not program.isprintable()
    ):
        raise OptionError(
            f"systemd can't start a program at {program!r}.",
            "Install stemfix in a folder without quotes and backslashes in its path.",
        )
    # The program's own path is not searched for variables, the arguments are.
    words = [_quoted(program), *(_quoted(argument).replace("$", "$$") for argument in arguments)]
    variables = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in environment.items())
    return _TEMPLATE.format(mark=MARK, unit=UNIT, command=" ".join(words), environment=variables)


def _quoted(text: str) -> str:
    """`text` as one word of a unit file: systemd.syntax(7), systemd.unit(5) on specifiers."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("%", "%%")
    plain = text.replace("/", "").replace(".", "").replace("-", "").replace("_", "")
    return escaped if plain.isascii() and plain.isalnum() else f'"{escaped}"'


def _unit_folder() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME", "").strip()
    base = Path(configured) if os.path.isabs(configured) else Path.home() / ".config"
    return base / "systemd" / "user"

"""Service: what every system's way to start `stemfix up` at logon has in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from engine.errors import OutputError
from engine.paths import cache_dir, config_dir, data_dir, model_dir
from stemfix.service.unit_file import UnitFile


@dataclass(frozen=True)
class ServiceState:
    """What is known of the installed service; None for what the system does not tell."""

    kind: str
    path: Path
    installed: bool
    #: False for a file of that name that stemfix did not write.
    is_ours: bool
    #: True if the file is what `install` would write now.
    up_to_date: bool
    starts_at_logon: bool | None = None
    running: bool | None = None


@dataclass
class Outcome:
    """What an installation or its removal did, as lines for the user."""

    lines: list[str] = field(default_factory=list)
    #: Commands that the user has to type because they could not be run from here.
    to_type: list[str] = field(default_factory=list)


class Service(Protocol):
    """One system's way."""

    kind: str

    def install(self) -> Outcome:
        """Describe the service to the system and start it. Raises StemfixError."""
        ...

    def uninstall(self) -> Outcome:
        """Stop it and take it away, if it is ours. Raises StemfixError if it is somebody else's."""
        ...

    def state(self) -> ServiceState:
        """How things stand. Raises StemfixError."""
        ...


def this_service(platform: str = sys.platform) -> Service:
    """This system's way."""
    if platform == "darwin":
        from stemfix.service.launchd import LaunchdService

        return LaunchdService(up_command(log=True), passed_on())
    if platform == "win32":
        from stemfix.service.windows import WindowsService

        return WindowsService(up_command(log=True), passed_on())
    from stemfix.service.systemd import SystemdService

    return SystemdService(up_command(), passed_on())


def up_command(log: bool = False) -> list[str]:
    """`stemfix up` by absolute paths; with `log`, for a system that does not keep what a service prints."""
    # Not resolved: the link in a virtual environment is what leads to its packages.
    python = Path(os.path.abspath(sys.executable))
    windowless = python.with_name("pythonw.exe")
    if sys.platform == "win32" and windowless.exists():
        python = windowless
    command = [str(python), "-m", "stemfix", "up"]
    return [*command, "--log-file", str(data_dir() / "logs" / "up.log")] if log else command


def passed_on(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that move stemfix's folders: the service has to use those of the user's commands."""
    given = os.environ if environment is None else environment
    folders = {
        "STEMFIX_DATA_DIR": data_dir,
        "STEMFIX_CACHE_DIR": cache_dir,
        "STEMFIX_MODEL_DIR": model_dir,
        "STEMFIX_CONFIG_DIR": config_dir,
    }
    found = {name: str(folder()) for name, folder in folders.items() if given.get(name, "").strip()}
    for name in ("STEMFIX_CACHE_GB", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        if value := given.get(name, "").strip():
            found[name] = value
    return found


def file_state(kind: str, file: UnitFile) -> ServiceState:
    """The state as far as the file tells it."""
    found = file.read()
    return ServiceState(
        kind=kind,
        path=file.path,
        installed=found is not None,
        is_ours=file.is_ours,
        up_to_date=found == file.content,
    )


def require_ours(file: UnitFile) -> None:
    """Raises OutputError for a file of that name that stemfix did not write."""
    if file.read() is not None and not file.is_ours:
        raise OutputError(
            f"{file.path} was not written by stemfix.", "It was left as it is; move it away first."
        )


def written(file: UnitFile, outcome: Outcome) -> bool:
    """Write the file, and say what became of the one before; False if it was right already."""
    change, kept = file.write()
    if kept:
        outcome.lines.append(f"What was there is kept: {kept}")
    words = {"new": "Written", "same": "Installed already", "replaced": "Written anew"}[change]
    outcome.lines.append(f"{words}: {file.path}")
    return change != "same"


def removed(file: UnitFile, outcome: Outcome) -> None:
    """Remove the file, and say so."""
    kept = file.remove()
    if kept:
        outcome.lines.append(f"It had been changed; what it was is kept: {kept}")
    outcome.lines.append(f"Removed: {file.path}")


def quoted(command: Sequence[str]) -> str:
    """A command as one types it."""
    import shlex

    return shlex.join(command)

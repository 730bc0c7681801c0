from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from daw_bridge.ardour.folders import ArdourFolder, config_base
from daw_bridge.ardour.running import RunningArdour, marked_as_open, running_ardours, users_of


@dataclass
class FakeProcess:
    """As much of `psutil.Process` as is asked for."""

    called: str
    file: str | None = "/usr/bin/something"
    command: tuple[str, ...] = ()
    environment: dict[str, str] | None = field(default_factory=dict)
    state: str = psutil.STATUS_SLEEPING
    uid: int = os.getuid() if hasattr(os, "getuid") else 0
    pid: int = 42

    def name(self) -> str:
        return self.called

    def exe(self) -> str:
        if self.file is None:
            raise psutil.AccessDenied(self.pid)
        return self.file

    def cmdline(self) -> list[str]:
        return list(self.command)

    def environ(self) -> dict[str, str]:
        if self.environment is None:
            raise psutil.AccessDenied(self.pid)
        return self.environment

    def status(self) -> str:
        return self.state

    def uids(self) -> object:
        @dataclass
        class Ids:
            real: int = self.uid

        return Ids()


@pytest.mark.parametrize(
    ("process", "version"),
    [
        # Ardour 7.3 on Debian calls itself by its thread's name.
        (FakeProcess("ArdourGUI", "/usr/lib/ardour7/ardour-7.3.0~ds0"), 7),
        (FakeProcess("ArdourGUI", None, ("/opt/Ardour-8.12.0/bin/ardour-8.12.0", "-n")), 8),
        (FakeProcess("Ardour9", "/Applications/Ardour9.app/Contents/MacOS/Ardour9"), 9),
        (FakeProcess("Ardour8.exe", "C:\\Program Files\\Ardour8\\bin\\Ardour8.exe"), 8),
        (FakeProcess("ardour", "/bin/bash"), None),
        (FakeProcess("hardour-7.3.0", "/x"), 7),
        (FakeProcess("ardour-7.3.0~ds", "/x"), 7),
    ],
)
def test_ardour_is_known_by_its_names(process: FakeProcess, version: int | None) -> None:
    (found,) = running_ardours([process])
    assert (found.pid, found.version) == (42, version)


@pytest.mark.parametrize(
    "process",
    [
        FakeProcess("ardour-avahi"),
        FakeProcess("ardour-vst-scanner"),
        FakeProcess("luasession", "/usr/lib/ardour7/luasession", ("/usr/lib/ardour7/luasession",)),
        FakeProcess("bash", "/bin/bash", ("bash", "start_ardour.sh")),
        FakeProcess("vi", "/usr/bin/vi", ("vi", "ardour")),
        FakeProcess("ArdourGUI", state=psutil.STATUS_ZOMBIE),
        FakeProcess("guitardour"),
    ],
)
def test_other_programs_are_not_ardour(process: FakeProcess) -> None:
    assert running_ardours([process]) == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="user numbers of POSIX")
def test_other_users_do_not_matter() -> None:
    assert running_ardours([FakeProcess("ArdourGUI", uid=os.getuid() + 1)]) == []


def test_an_ardour_uses_only_its_own_configuration(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "c")}
    base = config_base(environment)
    (found,) = running_ardours([FakeProcess("ardour-7.3", environment=environment)])
    assert found.config_base == base
    assert users_of(ArdourFolder(7, base / "ardour7"), [found]) == [found]
    assert users_of(ArdourFolder(8, base / "ardour8"), [found]) == []
    assert users_of(ArdourFolder(7, tmp_path / "elsewhere" / "ardour7"), [found]) == []


def test_in_doubt_it_is_the_one(tmp_path: Path) -> None:
    (found,) = running_ardours([FakeProcess("ardour", environment=None)])
    assert found == RunningArdour(42, None, None)
    assert users_of(ArdourFolder(8, tmp_path), [found]) == [found]


def test_the_address_in_the_folder_counts_while_something_listens_there(tmp_path: Path) -> None:
    folder = ArdourFolder(7, tmp_path)
    assert marked_as_open(folder) is None
    (tmp_path / "osc_url").write_text("")
    assert marked_as_open(folder) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        (tmp_path / "osc_url").write_text(f"osc.udp://studio:{listener.getsockname()[1]}/\n")
        assert marked_as_open(folder) == tmp_path / "osc_url"
    assert marked_as_open(folder) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a program under another name, as on Linux")
def test_a_process_of_that_name_is_found_with_its_configuration(tmp_path: Path) -> None:
    program = tmp_path / "ardour-7.3.0~fake"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    environment = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    process = subprocess.Popen([program, "60"], env=environment)
    try:
        (found,) = [one for one in running_ardours() if one.pid == process.pid]
        assert found == RunningArdour(process.pid, 7, tmp_path / "config")
    finally:
        process.kill()
        process.wait()
    assert process.pid not in [one.pid for one in running_ardours()]

"""The service's files: valid for their system, written once, and never at the cost of other files."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as xml
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import OptionError, OutputError
from stemfix.service.launchd import LABEL, LaunchdService, agent_plist
from stemfix.service.service import passed_on, this_service, up_command
from stemfix.service.systemd import SystemdService, unit_text
from stemfix.service.tool import Answer, run_tool
from stemfix.service.unit_file import MARK
from stemfix.service.windows import NAMESPACE, WindowsService, task_xml

ROOT = Path(__file__).parents[2]
COMMAND = [os.path.abspath(sys.executable), "-m", "stemfix", "up"]


class Tool:
    """A system that answers as it is told, and remembers what it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.asked: list[str] = []
        self.answers = answers

    def __call__(self, command: Sequence[str]) -> Answer:
        self.asked.append(" ".join(command))
        for word, answer in self.answers.items():
            if word in " ".join(command).lower():
                return answer
        return Answer(0)


def services(folder: Path, tool: Tool, command: Sequence[str] = COMMAND) -> list:
    """All three on one folder."""
    return [
        SystemdService(command, {"STEMFIX_DATA_DIR": "/d"}, folder, tool),
        LaunchdService(command, {}, folder, tool),
        WindowsService(command, {}, folder, tool, user="STUDIO\\me"),
    ]


KINDS = pytest.mark.parametrize("kind", [0, 1, 2], ids=["systemd", "launchd", "windows"])
#: What a system says of a service that it does not have.
ABSENT = {"print": Answer(113, "not found"), "/query": Answer(1, "ERROR: not found")}


class TestFiles:
    @KINDS
    def test_twice_is_once(self, tmp_path: Path, kind: int) -> None:
        first, again = services(tmp_path, Tool(**ABSENT))[kind], Tool()
        first.install()
        (file,) = tmp_path.iterdir()
        before = (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino)
        again.answers = {"/query": Answer(0, f"<Task>{MARK}</Task>")}
        outcome = services(tmp_path, again)[kind].install()
        assert list(tmp_path.iterdir()) == [file]
        assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ino) == before
        assert outcome.lines[0] == f"Installed already: {file}"
        assert not any(word in asked for asked in again.asked for word in ("restart", "bootout", "/Create"))

    @KINDS
    def test_a_changed_file_is_kept_beside_the_new_one(self, tmp_path: Path, kind: int) -> None:
        services(tmp_path, Tool(**ABSENT))[kind].install()
        (file,) = tmp_path.iterdir()
        file.write_bytes(changed := file.read_bytes() + b"\n\x00")
        outcome = services(tmp_path, Tool(**ABSENT))[kind].install()
        kept = file.with_name(f"{file.name}.bak-1")
        assert kept.read_bytes() == changed
        assert file.read_bytes() != changed
        assert any(str(kept) in line for line in outcome.lines)
        assert sorted(tmp_path.iterdir()) == [file, kept]

    @KINDS
    def test_uninstall_removes_what_install_wrote(self, tmp_path: Path, kind: int) -> None:
        neighbour = tmp_path / "other.service"
        neighbour.write_text("[Unit]\n")
        services(tmp_path, Tool(**ABSENT))[kind].install()
        services(tmp_path, Tool(**ABSENT))[kind].uninstall()
        assert list(tmp_path.iterdir()) == [neighbour]
        assert "nothing to remove" in services(tmp_path, Tool(**ABSENT))[kind].uninstall().lines[0]

    @KINDS
    def test_uninstall_keeps_what_the_user_changed(self, tmp_path: Path, kind: int) -> None:
        services(tmp_path, Tool(**ABSENT))[kind].install()
        (file,) = tmp_path.iterdir()
        file.write_bytes(changed := file.read_bytes() + b"\n\x00")
        services(tmp_path, Tool(**ABSENT))[kind].uninstall()
        (kept,) = tmp_path.iterdir()
        assert kept.read_bytes() == changed

    @KINDS
    def test_a_foreign_file_of_that_name_is_left_alone(self, tmp_path: Path, kind: int) -> None:
        tool = Tool(**ABSENT)
        service = services(tmp_path, tool)[kind]
        service.file.path.write_bytes(b"somebody else's")
        for act in (service.install, service.uninstall):
            with pytest.raises(OutputError, match="left as it is"):
                act()
        assert service.file.path.read_bytes() == b"somebody else's"
        assert tool.asked == []
        assert not service.state().is_ours

    @KINDS
    def test_a_link_is_not_followed(self, tmp_path: Path, kind: int) -> None:
        service = services(tmp_path / "units", Tool(**ABSENT))[kind]
        target = tmp_path / "target"
        target.write_text(MARK)
        service.file.path.parent.mkdir()
        service.file.path.symlink_to(target)
        for act in (service.install, service.uninstall):
            with pytest.raises(OutputError, match="not a plain file"):
                act()
        assert target.read_text() == MARK

    @KINDS
    def test_state_before_and_after(self, tmp_path: Path, kind: int) -> None:
        tool = Tool(**ABSENT)
        service = services(tmp_path, tool)[kind]
        assert not service.state().installed
        service.install()
        tool.answers = {
            "/query": Answer(0, f"<Task>{MARK}</Task>"),
            "is-enabled": Answer(0, "enabled\n"),
            "is-active": Answer(0, "active\n"),
            "print": Answer(0, "state = running"),
        }
        state = service.state()
        assert state.installed
        assert state.is_ours
        assert state.up_to_date
        assert state.starts_at_logon
        assert state.running in ((None,) if kind == 2 else (True,))
        assert not services(tmp_path, tool, ["/other/python", "-m", "stemfix"])[kind].state().up_to_date

    @KINDS
    def test_what_cant_be_done_from_here_is_said(self, tmp_path: Path, kind: int) -> None:
        refused = Answer(1, "Failed to connect\nno bus")
        tool = Tool(**ABSENT, systemctl=refused, launchctl=refused, schtasks=refused)
        outcome = services(tmp_path, tool)[kind].install()
        assert any("no bus" in line for line in outcome.lines)
        assert len(outcome.to_type) >= 2
        assert len(list(tmp_path.iterdir())) == 1


class TestSystemd:
    def test_the_unit_says_what_it_must(self, tmp_path: Path) -> None:
        text = unit_text(COMMAND, {"STEMFIX_DATA_DIR": "/data dir"})
        assert re.search(r"^ExecStart=\S*python\S* -m stemfix up$", text, re.MULTILINE)
        assert "\nRestart=on-failure\n" in text
        assert '\nEnvironment="STEMFIX_DATA_DIR=/data dir"\n' in text
        assert "\nWantedBy=default.target\n" in text
        # It has to write where the user can: beside any song, on any disk.
        assert not re.search(r"^(Protect|Private|ReadOnly|Inaccessible|Dynamic)", text, re.MULTILINE)

    def test_a_program_that_systemd_cant_start_is_refused(self) -> None:
        for program in ("python", '/a"b/python', "/a'b/python", "/a\\b/python", "/a\nb/python"):
            with pytest.raises(OptionError, match="systemd can't start"):
                unit_text([program], {})

    @pytest.mark.parametrize("folder", ["plain", "spaces %h $HOME ${HOME} é ;# x"])
    def test_systemd_verifies_the_unit(self, tmp_path: Path, folder: str) -> None:
        check = shutil.which("systemd-analyze")
        if check is None:
            pytest.skip("systemd is not installed")
        python = tmp_path / folder / "python"
        python.parent.mkdir()
        python.symlink_to(sys.executable)
        runtime = tmp_path / "run"
        runtime.mkdir(mode=0o700)

        def verify(text: str) -> subprocess.CompletedProcess[str]:
            unit = tmp_path / "stemfix.service"
            unit.write_text(text)
            return subprocess.run(
                [check, "--user", "verify", str(unit)],
                env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
                capture_output=True,
                text=True,
                timeout=60,
            )

        text = unit_text(
            [str(python), "-m", "stemfix", "up", '%h $HOME "x" \\'], {"STEMFIX_DATA_DIR": str(python.parent)}
        )
        done = verify(text)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert "Unknown key" in verify(text.replace("Nice=", "Nize=")).stderr

    def test_a_link_that_systemctl_could_not_remove_goes_too(self, tmp_path: Path) -> None:
        service = SystemdService(COMMAND, {}, tmp_path, Tool(systemctl=Answer(1, "no bus")))
        service.install()
        link = tmp_path / "default.target.wants" / "stemfix.service"
        link.parent.mkdir()
        link.symlink_to(tmp_path / "stemfix.service")
        service.uninstall()
        assert not link.is_symlink()


#: launchd.plist(5): the type of each key that is used, and the keys of KeepAlive.
LAUNCHD_TYPES = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "RunAtLoad": bool,
    "KeepAlive": dict,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "Nice": int,
    "ProcessType": str,
}


class TestLaunchd:
    def test_the_agent_has_only_keys_that_launchd_knows_with_their_types(self) -> None:
        written = agent_plist([*COMMAND, "--log-file", "/a & <b>/é.log"], {"STEMFIX_DATA_DIR": "/d & <e>"})
        assert MARK.encode() in written
        agent = plistlib.loads(written)
        assert {key: type(value) for key, value in agent.items()} == LAUNCHD_TYPES
        assert agent["Label"] == LABEL
        assert agent["ProgramArguments"] == [*COMMAND, "--log-file", "/a & <b>/é.log"]
        assert os.path.isabs(agent["ProgramArguments"][0])
        assert agent["EnvironmentVariables"]["STEMFIX_DATA_DIR"] == "/d & <e>"
        assert all(isinstance(value, str) for value in agent["EnvironmentVariables"].values())
        assert agent["KeepAlive"] == {"SuccessfulExit": False}
        assert agent["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")
        assert -20 <= agent["Nice"] <= 20

    def test_the_file_is_named_after_its_label(self, tmp_path: Path) -> None:
        assert LaunchdService(COMMAND, {}, tmp_path, Tool()).file.path.name == f"{LABEL}.plist"

    def test_a_new_version_is_loaded_instead_of_the_old(self, tmp_path: Path) -> None:
        LaunchdService(["/old/python"], {}, tmp_path, Tool(**ABSENT)).install()
        tool = Tool()
        LaunchdService(COMMAND, {}, tmp_path, tool).install()
        verbs = [asked.split()[1] for asked in tool.asked]
        assert verbs == ["print", "bootout", "enable", "bootstrap"]


#: Children in the order of the Task Scheduler schema's sequences, or as Windows writes them.
TASK_ORDER = {
    "Task": ["RegistrationInfo", "Triggers", "Principals", "Settings", "Data", "Actions"],
    "RegistrationInfo": [
        "URI",
        "SecurityDescriptor",
        "Source",
        "Date",
        "Author",
        "Version",
        "Description",
        "Documentation",
    ],
    "Triggers": ["LogonTrigger"],
    "LogonTrigger": [
        "Enabled",
        "StartBoundary",
        "EndBoundary",
        "Repetition",
        "ExecutionTimeLimit",
        "UserId",
        "Delay",
    ],
    "Principals": ["Principal"],
    "Principal": ["UserId", "LogonType", "GroupId", "DisplayName", "RunLevel"],
    "Settings": [
        "MultipleInstancesPolicy",
        "DisallowStartIfOnBatteries",
        "StopIfGoingOnBatteries",
        "AllowHardTerminate",
        "StartWhenAvailable",
        "RunOnlyIfNetworkAvailable",
        "IdleSettings",
        "AllowStartOnDemand",
        "Enabled",
        "Hidden",
        "RunOnlyIfIdle",
        "WakeToRun",
        "ExecutionTimeLimit",
        "Priority",
        "RestartOnFailure",
    ],
    "RestartOnFailure": ["Interval", "Count"],
    "Actions": ["Exec"],
    "Exec": ["Command", "Arguments", "WorkingDirectory"],
}
BOOLEAN = re.compile("true|false")
DURATION = re.compile(r"P(\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?")
TASK_VALUES = {
    "Enabled": BOOLEAN,
    "DisallowStartIfOnBatteries": BOOLEAN,
    "StopIfGoingOnBatteries": BOOLEAN,
    "AllowHardTerminate": BOOLEAN,
    "StartWhenAvailable": BOOLEAN,
    "RunOnlyIfNetworkAvailable": BOOLEAN,
    "AllowStartOnDemand": BOOLEAN,
    "Hidden": BOOLEAN,
    "RunOnlyIfIdle": BOOLEAN,
    "WakeToRun": BOOLEAN,
    "ExecutionTimeLimit": DURATION,
    "Interval": DURATION,
    "Count": re.compile(r"[1-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5]"),
    "Priority": re.compile("[0-9]|10"),
    "MultipleInstancesPolicy": re.compile("Parallel|Queue|IgnoreNew|StopExisting"),
    "LogonType": re.compile(
        "S4U|Password|InteractiveToken|InteractiveTokenOrPassword|Group|ServiceAccount|None"
    ),
    "RunLevel": re.compile("LeastPrivilege|HighestAvailable"),
}


class TestWindows:
    def task(self, *arguments: str) -> xml.Element:
        written = task_xml(["C:\\Programs & more\\pythonw.exe", *arguments], "STUDIO\\Zoë")
        assert written.startswith(b"\xff\xfe")
        text = written.decode("utf-16")
        assert text.startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n')
        assert "\n" not in text.replace("\r\n", "")
        return xml.fromstring(written)

    def test_the_task_follows_the_schema(self) -> None:
        task = self.task("-m", "stemfix", "up")
        assert task.tag == f"{{{NAMESPACE}}}Task"
        assert task.get("version") == "1.2"
        for element in task.iter():
            assert element.tag.startswith(f"{{{NAMESPACE}}}")
            name = element.tag.split("}")[1]
            children = [child.tag.split("}")[1] for child in element]
            assert len(set(children)) == len(children)
            order = TASK_ORDER.get(name, [])
            assert children == [child for child in order if child in children], name
            if not children:
                assert element.text
            if name in TASK_VALUES:
                assert TASK_VALUES[name].fullmatch(element.text or ""), name
        principal = task.find(f".//{{{NAMESPACE}}}Principal")
        actions = task.find(f"{{{NAMESPACE}}}Actions")
        assert principal is not None
        assert actions is not None
        assert principal.get("id") == actions.get("Context")

    def test_paths_with_spaces_and_signs_arrive(self) -> None:
        task = self.task("-m", "stemfix", "up", "--log-file", "C:\\my <logs>\\up.log")
        assert task.findtext(f".//{{{NAMESPACE}}}Command") == "C:\\Programs & more\\pythonw.exe"
        assert (
            task.findtext(f".//{{{NAMESPACE}}}Arguments")
            == '-m stemfix up --log-file "C:\\my <logs>\\up.log"'
        )
        assert task.findtext(f".//{{{NAMESPACE}}}Principal/{{{NAMESPACE}}}UserId") == "STUDIO\\Zoë"

    def test_a_foreign_task_of_that_name_is_left_alone(self, tmp_path: Path) -> None:
        tool = Tool(**{"/query": Answer(0, "<Task>theirs</Task>")})
        service = WindowsService(COMMAND, {}, tmp_path, tool, user="me")
        for act in (service.install, service.uninstall):
            with pytest.raises(OutputError, match="left as it is"):
                act()
        assert all("/Query" in asked for asked in tool.asked)
        assert list(tmp_path.iterdir()) == []

    def test_variables_that_a_task_cant_carry_are_said(self, tmp_path: Path) -> None:
        service = WindowsService(COMMAND, {"STEMFIX_DATA_DIR": "D:\\s"}, tmp_path, Tool(**ABSENT), user="me")
        assert service.install().to_type == ['setx STEMFIX_DATA_DIR "D:\\s"']


def test_the_service_uses_the_folders_of_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"STEMFIX_DATA_DIR": "rel", "STEMFIX_CONFIG_DIR": "", "HOME": "/h", "XDG_DATA_HOME": "/x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = passed_on()
    assert found["STEMFIX_DATA_DIR"] == str(Path("rel").absolute())
    assert found["XDG_DATA_HOME"] == "/x"
    assert "STEMFIX_CONFIG_DIR" not in found
    assert "HOME" not in found


def test_the_program_is_named_absolutely_by_its_environments_link() -> None:
    assert up_command() == COMMAND
    log = up_command(log=True)
    assert log[:-1] == [*COMMAND, "--log-file"]
    assert os.path.isabs(log[-1])


@pytest.mark.parametrize(
    ("platform", "kind"), [("linux", "systemd"), ("darwin", "launchd"), ("win32", "Windows scheduled")]
)
def test_each_system_has_its_own(platform: str, kind: str) -> None:
    assert kind in this_service(platform).kind


def test_a_tool_that_is_not_there_is_no_failure(tmp_path: Path) -> None:
    answer = run_tool([str(tmp_path / "systemctl")])
    assert not answer.ok
    assert "not installed" in answer.last_line


def test_the_commands_install_show_and_remove(
    stemfix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this system's own terms, but with no system to talk to."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    if sys.platform == "win32":
        pytest.skip("there is always a Task Scheduler")
    assert "not installed" in stemfix("service", "status").out
    installed = stemfix("service", "install")
    assert installed.status == 0
    assert "Type:" in installed.out
    shown = stemfix("service", "status")
    assert "installed" in shown.out
    assert "engine:      does not run" in shown.out
    (state,) = stemfix("service", "status", "--json").objects
    assert state["installed"]
    assert state["is_ours"]
    assert not state["up"]
    assert stemfix("service", "uninstall").status == 0
    assert not Path(state["path"]).exists()


def test_a_wrong_configuration_is_said_before_anything_is_installed(
    stemfix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEMFIX_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "units"))
    (tmp_path / "config.toml").write_text("[engin]\n")
    outcome = stemfix("service", "install")
    assert outcome.status == 2
    assert "Did you mean 'engine'" in outcome.err
    assert not (tmp_path / "units").exists()

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import ThreadingOSCUDPServer

from daw_bridge.ardour.folders import ArdourFolder, ardour_folders
from daw_bridge.ardour.installer import install
from daw_bridge.ardour.request import request_path
from daw_bridge.ardour.running import RunningArdour
from daw_bridge.ardour.settings import StubSettings
from daw_bridge.ardour.trigger import enhance_selected
from daw_bridge.osc import HOST, OscError, run_action
from engine.errors import OptionError, StemfixError


class FakeArdour:
    """Answers to a question as Ardour does, and notes the actions it is asked to run."""

    def __init__(self, answers_from: int = 0) -> None:
        self.actions: list[str] = []
        self.asked = threading.Event()
        self.questions = 0
        self.answers_from = answers_from
        dispatcher = Dispatcher()
        dispatcher.map("/transport_frame", self._answer, needs_reply_address=True)
        dispatcher.map("/access_action", self._run)
        self.server = ThreadingOSCUDPServer((HOST, 0), dispatcher)
        self.port = self.server.server_address[1]

    def _answer(self, client: tuple[str, int], *_: Any) -> None:
        self.questions += 1
        if self.questions > self.answers_from:
            # Ardour's answers have an address that python-osc can't read.
            self.server.socket.sendto(b"#reply\0\0,i\0\0\0\0\0\0", client)

    def _run(self, _: str, action: str) -> None:
        self.actions.append(action)
        self.asked.set()

    def __enter__(self) -> FakeArdour:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def fake_ardour() -> Iterator[FakeArdour]:
    with FakeArdour() as fake:
        yield fake


@pytest.fixture
def installed(
    ardour: Callable[..., ArdourFolder], files: dict[str, bytes], settings: StubSettings
) -> Callable[..., ArdourFolder]:
    def make(version: int = 7, **options: Any) -> ArdourFolder:
        folder = ardour(version, **options)
        install([folder], files, settings)
        return folder

    return make


def silent_port() -> socket.socket:
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.bind((HOST, 0))
    return link


def closed_port() -> int:
    with silent_port() as link:
        return int(link.getsockname()[1])


def test_the_action_is_run_once_ardour_has_answered(fake_ardour: FakeArdour) -> None:
    run_action("LuaAction/script-3", fake_ardour.port)
    assert fake_ardour.asked.wait(5)
    assert fake_ardour.actions == ["LuaAction/script-3"]


def test_a_lost_answer_is_asked_for_again() -> None:
    with FakeArdour(answers_from=1) as fake:
        run_action("LuaAction/script-3", fake.port, wait_s=0.2)
        assert fake.asked.wait(5)
        assert fake.questions == 2
        assert len(fake.actions) == 1


def test_a_closed_port_is_told_from_a_silent_one() -> None:
    with pytest.raises(OscError, match=r"Nothing listens .*switch on .*Open Sound Control"):
        run_action("x", closed_port(), wait_s=0.1)
    with silent_port() as link, pytest.raises(OscError, match="does not answer as Ardour does"):
        run_action("x", link.getsockname()[1], wait_s=0.05)


def test_it_finds_slot_and_port_by_itself(
    installed: Callable[..., ArdourFolder], fake_ardour: FakeArdour, stemfix: Callable[..., Any]
) -> None:
    folder = installed()
    config = f'<Option name="osc-port" value="{fake_ardour.port}"/>'
    (folder.path / "config").write_text(f"<Ardour><Config>{config}</Config></Ardour>")
    done = stemfix("ardour", "enhance-selected")
    assert done.status == 0
    assert "Sent to Ardour 7" in done.out
    assert "open to your whole network, without a password" in done.err
    assert fake_ardour.asked.wait(5)
    assert fake_ardour.actions == ["LuaAction/script-2"]
    assert not request_path().exists()


def test_the_preset_waits_for_the_action_in_a_private_file(
    installed: Callable[..., ArdourFolder], fake_ardour: FakeArdour, stemfix: Callable[..., Any]
) -> None:
    installed()
    done = stemfix("ardour", "enhance-selected", "--preset", "fast", "--port", fake_ardour.port)
    assert done.status == 0
    told = json.loads(request_path().read_bytes())
    assert told["preset"] == "fast"
    assert 0 <= time.time() - told["time"] < 60
    assert stemfix("ardour", "enhance-selected", "--preset", "no such").status == 2


def test_with_osc_off_it_says_so_and_takes_the_request_back(
    installed: Callable[..., ArdourFolder], stemfix: Callable[..., Any]
) -> None:
    installed()
    done = stemfix("ardour", "enhance-selected", "--preset", "fast", "--port", closed_port())
    assert done.status == 2
    assert "Ardour 7 has OSC switched off in its preferences." in done.err
    assert "Control Surfaces" in done.err
    assert not request_path().exists()


def test_with_osc_on_it_does_not_say_that_it_is_off(installed: Callable[..., ArdourFolder]) -> None:
    folder = installed()
    protocol = '<Protocol name="Open Sound Control (OSC)" active="1" debugmode="0"/>'
    (folder.path / "config").write_text(f"<Ardour><ControlProtocols>{protocol}</ControlProtocols></Ardour>")
    with pytest.raises(OscError) as refused:
        enhance_selected(port=closed_port())
    assert "switched off" not in str(refused.value)


def test_without_an_installation_it_names_the_command(ardour: Callable[..., ArdourFolder]) -> None:
    ardour()
    with pytest.raises(StemfixError, match=r"not installed in Ardour\. Run: stemfix daw install ardour"):
        enhance_selected()


def test_of_several_versions_the_open_one_is_meant(
    installed: Callable[..., ArdourFolder], fake_ardour: FakeArdour, genuine: bytes
) -> None:
    seven, eight = installed(7), installed(8, ui_scripts=None)
    assert len(ardour_folders()) == 2
    with pytest.raises(OptionError, match=r"\(7, 8\)\. Say which one with --ardour"):
        enhance_selected(port=fake_ardour.port)
    open_eight = [RunningArdour(1, 8, eight.path.parent)]
    assert enhance_selected(port=fake_ardour.port, running=open_eight).slot == 3
    chosen = enhance_selected(port=fake_ardour.port, version=7, running=open_eight)
    assert (chosen.folder, chosen.slot) == (seven, 2)

"""Jobs over OSC: real datagrams, on this computer alone, and nothing that comes in is executed."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

import daw_bridge.osc_server as osc_server
from daw_bridge.osc import HOST, OscError
from daw_bridge.osc_server import OscServer
from daw_bridge.reaper.folders import default_path, reaper_folders
from daw_bridge.reaper.trigger import run_action
from engine.config import load_config
from engine.errors import StemfixError
from engine.queue.records import JobState
from engine.spool.client import spool_dir
from engine.spool.models import SpoolResult, SpoolStatus


class Surface:
    """A control surface: sends, and hears what comes back."""

    def __init__(self, port: int) -> None:
        self.link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.link.bind((HOST, 0))
        self.link.settimeout(3)
        self.to = (HOST, port)

    def send(self, address: str, *values: Any) -> None:
        self.link.sendto(message(address, *values).dgram, self.to)

    def hear(self) -> tuple[Any, ...]:
        found = OscMessage(self.link.recv(65_536))
        return (found.address, *found.params)

    def ask(self, address: str, *values: Any) -> tuple[Any, ...]:
        self.send(address, *values)
        return self.hear()


def message(address: str, *values: Any) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()


@pytest.fixture
def server() -> Iterator[OscServer]:
    pressed: list[int] = []
    made = OscServer(0, lambda: pressed.append(1))
    made.pressed = pressed  # type: ignore[attr-defined]
    stop = threading.Event()
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


@pytest.fixture
def surface(server: OscServer) -> Iterator[Surface]:
    made = Surface(server.port)
    with made.link:
        yield made


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "song é.wav"
    path.touch()
    return path


def put_status(job_id: str, state: JobState, progress: float, text: str = "") -> None:
    status = SpoolStatus(job_id=job_id, state=state, progress=progress, message=text, time=time.time())
    temporary = spool_dir() / job_id / ".status.tmp"
    temporary.write_text(status.model_dump_json())
    os.replace(temporary, spool_dir() / job_id / "status.json")


def test_a_job_from_its_start_to_its_end(surface: Surface, recording: Path) -> None:
    address, job_id, path = surface.ask("/stemfix/enhance", str(recording), "fast")
    assert (address, path) == ("/stemfix/job", str(recording))
    job = (spool_dir() / job_id / "job.json").read_text()
    assert '"client": "osc"' in job
    assert '"preset": "fast"' in job
    put_status(job_id, JobState.RUNNING, 0.25, "Separating")
    assert surface.hear() == ("/stemfix/progress", job_id, "running", 0.25, "Separating")
    put_status(job_id, JobState.RUNNING, 0.5, "Separating")
    assert surface.hear()[3] == 0.5
    surface.link.settimeout(0.6)
    with pytest.raises(TimeoutError):  # nothing new, nothing told
        surface.hear()
    surface.link.settimeout(3)
    result = SpoolResult(job_id=job_id, state=JobState.DONE, folder="/somewhere/song.stemfix")
    (spool_dir() / job_id / "result.json").write_text(result.model_dump_json())
    put_status(job_id, JobState.DONE, 1.0)
    assert surface.hear()[:4] == ("/stemfix/progress", job_id, "done", 1.0)
    assert surface.hear() == ("/stemfix/result", job_id, "done", "/somewhere/song.stemfix", "")
    surface.link.settimeout(0.6)
    with pytest.raises(TimeoutError):  # the end is told once
        surface.hear()


def test_each_sender_hears_of_its_own_jobs(server: OscServer, surface: Surface, recording: Path) -> None:
    other = Surface(server.port)
    with other.link:
        mine = surface.ask("/stemfix/enhance", str(recording))[1]
        theirs = other.ask("/stemfix/enhance", str(recording))[1]
        put_status(theirs, JobState.RUNNING, 0.5)
        assert other.hear()[1] == theirs
        put_status(mine, JobState.RUNNING, 0.1)
        assert surface.hear()[1] == mine


def test_status_and_cancel(surface: Surface, recording: Path) -> None:
    assert surface.ask("/stemfix/status") == ("/stemfix/engine", "stopped", 0, 0, 0)
    job_id = surface.ask("/stemfix/enhance", str(recording))[1]
    assert surface.ask("/stemfix/status", job_id)[:3] == ("/stemfix/progress", job_id, "waiting")
    surface.send("/stemfix/cancel", 1.0)  # a button, of the last job
    assert surface.ask("/stemfix/status", job_id)[1] == job_id
    assert (spool_dir() / job_id / "cancel").exists()


def test_a_button_enhances_what_is_selected_in_the_daw(server: OscServer, surface: Surface) -> None:
    surface.send("/stemfix/enhance", 1.0)
    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"
    assert server.pressed == [1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("/nowhere/at all.wav",), "There is no file /nowhere/at all.wav"),
        (("song.wav",), "There is no file song.wav"),
        (("$(touch x)",), "There is no file"),
        ((b"\x00\x01",), "have to be text"),
        (("",), "have to be text"),
    ],
)
def test_what_can_not_be_done_is_told(surface: Surface, values: tuple[Any, ...], said: str) -> None:
    address, sentence = surface.ask("/stemfix/enhance", *values)
    assert address == "/stemfix/error"
    assert said in sentence


def test_relative_and_endless_paths_are_told(
    surface: Surface, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recording.parent)
    assert "There is no file song" in surface.ask("/stemfix/enhance", recording.name)[1]
    assert "can't be used" in surface.ask("/stemfix/enhance", "/" + 5_000 * "x")[1]
    source = Path(osc_server.__file__).parents[1] / "presets"
    preset = next(source.rglob("balanced.toml"))
    (recording.parent / "mine.toml").write_bytes(preset.read_bytes())
    address, sentence = surface.ask("/stemfix/enhance", str(recording), "./mine.toml")
    assert address == "/stemfix/error"
    assert sentence
    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"


def test_wrong_presets_and_jobs_are_told(surface: Surface, recording: Path) -> None:
    assert surface.ask("/stemfix/enhance", str(recording), "no such preset")[0] == "/stemfix/error"
    assert surface.ask("/stemfix/cancel")[1].startswith("No job was named")
    assert "can't be a job's id" in surface.ask("/stemfix/cancel", "../../etc")[1]
    assert "can't be a job's id" in surface.ask("/stemfix/status", "../x")[1]
    assert not spool_dir().exists() or not list(spool_dir().iterdir())


def bundle(depth: int) -> bytes:
    inner = struct.pack(">I", 16) + b"/stemfix\0\0\0\0,\0\0\0"
    for _ in range(depth):
        whole = b"#bundle\0" + bytes(7) + b"\1" + inner
        inner = struct.pack(">I", len(whole)) + whole
    return inner[4:]


JUNK = [
    b"",
    b"\0",
    b"/",
    b"hello",
    b"/stemfix/enhance",
    b"/stemfix/enhance\0\0\0\0,s\0\0",
    b"/stemfix/enhance\0\0\0\0,s\0\0\xff\xfe\xfd",
    b"/stemfix/enhance\0\0\0\0,[[[\0\0\0\0",
    b"#bundle\0",
    b"#bundle\0" + b"\xff" * 40,
    b"\xff" * 65_000,
    bundle(2_000),
]


@pytest.mark.parametrize("packet", JUNK, ids=range(len(JUNK)))
def test_malformed_packets_are_ignored_and_counted(
    server: OscServer, surface: Surface, packet: bytes
) -> None:
    surface.link.sendto(packet, surface.to)
    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"
    counts = server.counts
    assert counts.malformed + counts.unknown <= 1
    assert counts.served in (1, 2)
    assert not spool_dir().exists()


def test_the_count_of_malformed_packets_is_told(surface: Surface) -> None:
    for _ in range(3):
        surface.link.sendto(b"hello", surface.to)
    assert surface.ask("/stemfix/status") == ("/stemfix/engine", "stopped", 0, 0, 3)


def test_random_packets_do_no_harm(server: OscServer, surface: Surface) -> None:
    dice = random.Random(1)
    whole = message("/stemfix/enhance", "/nowhere", "fast").dgram
    surface.link.settimeout(0.01)
    for _ in range(200):
        packet = bytearray(whole)
        for _ in range(dice.randint(1, 6)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        surface.link.sendto(bytes(packet[: dice.randint(0, len(packet))]), surface.to)
        try:
            surface.link.recv(65_536)
        except TimeoutError:
            continue
    surface.link.settimeout(3)
    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"
    assert not spool_dir().exists() or not list(spool_dir().iterdir())


def test_unknown_addresses_and_bundles(server: OscServer, surface: Surface) -> None:
    surface.send("/action/str", "_RS1")
    surface.send("/stemfix/*")
    builder = OscBundleBuilder(IMMEDIATELY)  # type: ignore[arg-type]
    builder.add_content(message("/stemfix/status"))  # type: ignore[arg-type]
    builder.add_content(message("/other"))  # type: ignore[arg-type]
    surface.link.sendto(builder.build().dgram, surface.to)
    assert surface.hear()[0] == "/stemfix/engine"
    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"
    assert server.counts.unknown == 3


def test_only_so_many_jobs_at_a_time(
    surface: Surface, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osc_server, "_MOST_JOBS", 2)
    for _ in range(2):
        assert surface.ask("/stemfix/enhance", str(recording))[0] == "/stemfix/job"
    assert "under way" in surface.ask("/stemfix/enhance", str(recording))[1]


def test_it_listens_on_this_computer_alone(server: OscServer) -> None:
    links = [link for link in psutil.Process().net_connections("udp") if link.laddr.port == server.port]
    assert [link.laddr.ip for link in links] == ["127.0.0.1"]
    with pytest.raises(StemfixError, match="can't be used"):
        OscServer(server.port)


def test_a_sender_that_is_gone_does_no_harm(server: OscServer, surface: Surface, recording: Path) -> None:
    with Surface(server.port).link as link:
        link.sendto(message("/stemfix/enhance", str(recording)).dgram, surface.to)
        job_id = OscMessage(link.recv(65_536)).params[0]
    put_status(job_id, JobState.RUNNING, 0.5)
    time.sleep(0.6)
    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"


def test_the_command_and_the_configuration(tmp_path: Path) -> None:
    from stemfix.parts import parts

    config = load_config().path
    config.parent.mkdir(parents=True)
    assert [part.name for part in parts(load_config())] == ["engine"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    config.write_text(f'[osc]\nenabled = true\nport = {port}\n[reaper]\nimport_renders = "any"\n')
    found = parts(load_config())
    assert [part.name for part in found] == ["engine", "osc", "reaper"]
    assert found[1].command[-2:] == ("osc", "--supervised")
    assert found[2].command[-3:] == ("reaper", "round-trip", "--supervised")
    assert found[1].command[0] == sys.executable
    process = subprocess.Popen(found[1].command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        surface = Surface(port)
        surface.link.settimeout(0.2)
        with surface.link:
            for _ in range(100):
                try:
                    assert surface.ask("/stemfix/status")[0] == "/stemfix/engine"
                    break
                except (TimeoutError, ConnectionError):
                    continue
            else:
                pytest.fail("it does not answer")
        links = psutil.Process(process.pid).net_connections("inet")
        assert {link.laddr.ip for link in links} == {"127.0.0.1"}
    finally:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "0 malformed packets" in said


@pytest.fixture
def fake_reaper() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind((HOST, 0))
        link.settimeout(3)
        yield link


def test_an_action_is_triggered_in_reaper(fake_reaper: socket.socket, stemfix: Callable[..., Any]) -> None:
    port = fake_reaper.getsockname()[1]
    path = default_path(os.environ)
    path.mkdir(parents=True)
    with pytest.raises(StemfixError, match="not registered"):
        run_action(reaper_folders(), port)
    assert stemfix("daw", "install", "reaper").status == 0
    command = run_action(reaper_folders(), port)
    assert command.startswith("_RS")
    found = OscMessage(fake_reaper.recv(1000))
    assert (found.address, found.params) == ("/action/str", [command])
    done = stemfix("reaper", "action", "Cancel", "--port", port)
    assert done.status == 0, done.err
    assert OscMessage(fake_reaper.recv(1000)).params[0] != command
    fake_reaper.close()
    with pytest.raises(OscError, match="Nothing listens"):
        run_action(reaper_folders(), port)

"""reapy's real client against stemfix's real server script, and against reapy's own, over real sockets."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

pytest.importorskip("reapy", reason="the extra 'reaper' is not installed")

import daw_bridge.reaper
from daw_bridge.reaper.connection import (
    ConnectionRefusedByUsError,
    connected,
    held,
    open_addresses,
    server_addresses,
)
from daw_bridge.reaper.importing import UNDO_LABEL, import_result
from daw_bridge.reaper.live import items_of, projects, selected_items, tracks
from daw_bridge.reaper.render import import_render
from daw_bridge.reaper.result import Result, load_result
from daw_bridge.reaper.round_trip import RoundTrip
from daw_bridge.reaper.submit import item_of, submit_item
from engine.errors import InputError, StemfixError
from engine.spool.client import engine_alive
from stemfix.queue_access import open_queue

HERE = Path(__file__).parent
OURS = Path(daw_bridge.reaper.__file__).parent / "reapy_server.py"
Publish = Callable[..., Path]


def reapys_own() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("reapy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "reascripts" / "activate_reapy_server.py"


class Host:
    """The stand-in for REAPER in a process of its own."""

    def __init__(self, script: Path, state: dict[str, Any], folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        state_file = folder / "state.json"
        state_file.write_text(json.dumps(state))
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "fake_reaper_host.py"), str(script), str(self.port), str(state_file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def tell(self, *command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self._line()
        assert isinstance(answer, dict)
        return answer

    def close(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        code = self.process.wait(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def item(file: Path, *, position: float, offset: float, selected: bool = True, extra: str = "") -> str:
    return (
        f"<ITEM\nPOSITION {position}\nLENGTH 2\nLOOP 0\nMUTE 0 0\nSEL {int(selected)}\n"
        f"IGUID {{22222222-0000-0000-0000-00000000000{int(position)}}}\nNAME mix\nVOLPAN 0.8 0 1 -1\n"
        f"SOFFS {offset}\nPLAYRATE 1 1 0 -1 0 0.0025\nGUID {{3}}\n{extra}"
        f'<SOURCE WAVE\nFILE "{file}"\n>\n>\n'
    )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[..., Host]]:
    hosts: list[Host] = []

    def start(items: list[str], script: Path = OURS, **state: Any) -> Host:
        track_info = {"D_VOL": 0.5, "D_PAN": -0.25, "I_CUSTOMCOLOR": 7.0, "I_FOLDERDEPTH": -1.0}
        state = {
            "path": str(tmp_path / "song" / "song.rpp"),
            "tracks": [
                {"name": "Bus", "items": [], "info": {"I_FOLDERDEPTH": 1.0}},
                {"name": "Mix", "items": items, "info": track_info},
                {"name": "After", "items": []},
            ],
            **state,
        }
        hosts.append(Host(script, state, tmp_path))
        return hosts[-1]

    yield start
    for one in hosts:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.fixture
def result(published: Publish) -> Result:
    return load_result(published(4_000, 40_000))


def test_it_lists_projects_tracks_and_selected_items(host: Callable[..., Host], result: Result) -> None:
    midi = "<ITEM\nPOSITION 9\nLENGTH 1\nMUTE 0 0\nSEL 1\n<SOURCE MIDI\n>\n>\n"
    reaper = host([item(result.source, position=5, offset=1.5), midi])
    with connected(reaper.port) as api:
        assert [Path(one.path).name for one in projects(api)] == ["song.rpp"]
        assert [(one.name, one.items, one.folder_depth) for one in tracks(api)] == [
            ("Bus", 0, 1),
            ("Mix", 2, -1),
            ("After", 0, 0),
        ]
        audio, other = selected_items(api)
    assert audio.item is not None
    assert (audio.item.position_s, audio.item.offset_s, audio.file) == (5.0, 1.5, result.source)
    assert other.item is None
    assert other.refusal == "It is MIDI."
    assert reaper.close() == 0


def test_an_import_is_one_undo_step_and_lands_exactly(host: Callable[..., Host], result: Result) -> None:
    reaper = host([item(result.source, position=5, offset=1.25)])
    before = reaper.tell("state")["tracks"]
    with connected(reaper.port) as api:
        assert import_result(api, result, items_of(api, result)) == 1
    state = reaper.tell("state")
    found = state["tracks"]
    names = ["Bus", "Mix", "Mix (stemfix)", "drums", "bass", "other", "vocals", "After"]
    assert [track["name"] for track in found] == names
    assert [track["info"]["I_FOLDERDEPTH"] for track in found] == [1, 0, 1, 0, 0, 0, -2, 0]
    folder, drums = found[2], found[3]
    assert (folder["info"]["D_VOL"], folder["info"]["D_PAN"]) == (0.5, -0.25)
    assert (drums["info"]["D_VOL"], drums["info"]["I_CUSTOMCOLOR"]) == (1.0, 7.0)
    lines = drums["items"][0]["chunk"].splitlines()
    # The stems begin 0.5 s into the file.
    assert {"POSITION 5", "SOFFS 0.75", "LENGTH 2", "SEL 0", "VOLPAN 0.8 0 1 -1"} <= set(lines)
    assert f'FILE "{result.stems[0].path}"' in drums["items"][0]["chunk"]
    assert "22222222" not in drums["items"][0]["chunk"]
    assert found[1]["items"][0]["info"] == {"B_MUTE": 1.0}
    assert state["undo"] == [UNDO_LABEL]
    assert (state["open_blocks"], state["prevented"], state["created_sources"]) == (0, 0, 0)
    assert reaper.tell("undo")["tracks"] == before


@pytest.mark.parametrize(
    "function",
    [
        "GetItemStateChunk",
        "GetMediaItem_Track",
        "PCM_Source_CreateFromFile",
        "GetMediaSourceLength",
        "InsertTrackAtIndex",
        "GetTrack",
        "GetSetMediaTrackInfo_String",
        "SetMediaTrackInfo_Value",
        "AddMediaItemToTrack",
        "SetItemStateChunk",
        "SetMediaItemInfo_Value",
        "Undo_BeginBlock2",
    ],
)
@pytest.mark.parametrize("call", [1, 2])
def test_whatever_fails_the_project_stays_as_it_was(
    host: Callable[..., Host], result: Result, function: str, call: int
) -> None:
    reaper = host([item(result.source, position=5, offset=1.25)])
    before = reaper.tell("state")["tracks"]
    with pytest.raises(StemfixError, match=f"{function} failed"), connected(reaper.port) as api:
        found = items_of(api, result)
        reaper.tell("fail", function, call)
        if call > 1 and function in ("GetItemStateChunk", "GetMediaItem_Track", "SetMediaItemInfo_Value"):
            found = found * 2
        import_result(api, result, found)
        if function == "Undo_BeginBlock2" and call == 2:
            import_result(api, result, found)
    state = reaper.tell("state")
    if function == "Undo_BeginBlock2" and call == 2:
        assert state["undo"] == [UNDO_LABEL]
    else:
        assert state["tracks"] == before
        assert state["undo"] == []
    assert (state["open_blocks"], state["prevented"]) == (0, 0)


DYING = """
import os, sys
from daw_bridge.reaper.connection import connected, held
with connected(int(sys.argv[1])) as api, held():
    api.Undo_BeginBlock2(0)
    api.PreventUIRefresh(1)
    api.InsertTrackAtIndex(0, False)
    os._exit(9)
"""


def test_a_client_that_dies_in_the_middle_leaves_the_project_as_it_was(
    host: Callable[..., Host], result: Result
) -> None:
    reaper = host([item(result.source, position=5, offset=1.25)])
    before = reaper.tell("state")["tracks"]
    assert subprocess.run([sys.executable, "-c", DYING, str(reaper.port)], check=False).returncode == 9
    state = reaper.tell("state")
    assert state["tracks"] == before
    assert (state["undo"], state["open_blocks"], state["prevented"]) == ([], 0, 0)
    with connected(reaper.port) as api:  # and it serves on
        assert len(tracks(api)) == 3


def test_a_stopped_client_that_holds_reaper_is_dropped(
    host: Callable[..., Host], result: Result, tmp_path: Path
) -> None:
    script = tmp_path / "server.py"
    script.write_text(OURS.read_text().replace("0.004, 20.0, 1.0", "0.004, 0.5, 0.3"))
    reaper = host([item(result.source, position=5, offset=1.25)], script)
    with pytest.raises(StemfixError, match="broke"), connected(reaper.port) as api, held():
        api.Undo_BeginBlock2(0)
        api.InsertTrackAtIndex(0, False)
        time.sleep(1)
        api.CountTracks(0)
    state = reaper.tell("state")
    assert (len(state["tracks"]), state["undo"], state["open_blocks"]) == (3, [], 0)


def raw(port: int, request: Any) -> dict[str, Any]:
    """One request past reapy's client."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as link, link.makefile("rb") as answers:
        answers.read(int.from_bytes(answers.read(8), "little"))
        data = json.dumps(request).encode()
        link.sendall(len(data).to_bytes(8, "little") + data)
        found = json.loads(answers.read(int.from_bytes(answers.read(8), "little")))
        assert isinstance(found, dict)
        return found


def call(module: str, name: str, *arguments: Any, **named: Any) -> dict[str, Any]:
    function = {"__callable__": True, "module_name": module, "name": name}
    return {"function": function, "input": {"args": arguments, "kwargs": named}}


def test_nothing_but_the_named_functions_is_run(host: Callable[..., Host], result: Result) -> None:
    reaper = host([])
    fine = call("reapy.reascript_api", "CountTracks", 0)
    assert raw(reaper.port, fine) == {"type": "result", "value": 3}
    # What reapy's own server would have run.
    for request in (
        call("subprocess", "getoutput", "id"),
        call("os", "getpid"),
        call("reapy.reascript_api", "ExecProcess", "id", 0),
        call("reapy.reascript_api", "Main_OnCommand", 40001, 0),
        call("reapy.reascript_api", "os.getpid"),
        call("reapy.reascript_api", "sys.exit"),
        call("reapy.tools.json", "importlib.import_module", "antigravity"),
        call(
            "reapy.reascript_api", "CountTracks", {"__callable__": True, "module_name": "os", "name": "abort"}
        ),
        call("reapy.reascript_api", "CountTracks", project=0),
        {"function": None, "input": None},
        {},
    ):
        answer = raw(reaper.port, request)
        assert answer["type"] == "error", request
        assert "RefusedError" in answer["traceback"], request
    assert raw(reaper.port, fine)["value"] == 3
    assert "RS" not in json.dumps(reaper.tell("state")["ext_state"])


def test_nothing_is_run_that_could_bring_reaper_down(host: Callable[..., Host], result: Result) -> None:
    reaper = host([item(result.source, position=5, offset=1)])
    with connected(reaper.port) as api:
        track, one = api.GetTrack(0, 1), api.GetMediaItem(0, 0)
        source = api.PCM_Source_CreateFromFile(str(result.source))
        cases: list[tuple[str, tuple[Any, ...], str]] = [
            ("GetItemStateChunk", (track, "", 100, False), "no MediaItem"),
            ("GetItemStateChunk", ("(MediaItem*)0x0000000000000000", "", 100, False), "gone"),
            ("GetItemStateChunk", ("(MediaItem*)0x00000000DEADBEEF", "", 100, False), "gone"),
            ("GetItemStateChunk", (one, "", 2**31 - 1, False), "too large"),
            ("GetTrackName", (one, "", 100), "no MediaTrack"),
            ("PCM_Source_Destroy", ("(PCM_source*)0x0000000000001000",), "gone"),
            ("GetMediaTrackInfo_Value", (track, "P_PROJECT"), "attribute"),
            ("SetItemStateChunk", (one, "<ITEM\n<TAKEFX\n>\n>\n", False), "effects"),
            ("CountTracks", ("(ReaProject*)0x00000000DEADBEEF",), "in front"),
            ("CountTracks", (), "in front"),
        ]
        for name, arguments, said in cases:
            with pytest.raises(Exception, match=said):
                getattr(api, name)(*arguments)
        api.PCM_Source_Destroy(source)
        with pytest.raises(Exception, match="gone"):
            api.PCM_Source_Destroy(source)
        api.PCM_Source_CreateFromFile(str(result.stems[0].path))
        assert reaper.tell("state")["created_sources"] == 1
    time.sleep(0.1)
    assert reaper.tell("state")["created_sources"] == 0


def test_an_item_that_was_deleted_meanwhile_is_told(host: Callable[..., Host], result: Result) -> None:
    reaper = host([item(result.source, position=5, offset=1.25)])
    with pytest.raises(StemfixError, match="the track or item is gone"), connected(reaper.port) as api:
        found = items_of(api, result)
        reaper.tell("delete items")
        import_result(api, result, found)
    state = reaper.tell("state")
    assert (len(state["tracks"]), state["undo"]) == (3, [])


def test_a_path_may_be_relative_to_the_project(host: Callable[..., Host], result: Result) -> None:
    reaper = host([item(Path("mix.wav"), position=5, offset=1.25)])
    with connected(reaper.port) as api:
        (one,) = items_of(api, result)
    assert one.file == result.source


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff" * 8,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0" * 8,
        b"\x05\0\0\0\0\0\0\0{{{{{",
        (100_000).to_bytes(8, "little") + b"[" * 100_000,
        b"\x02\0\0\0\0\0\0\0[]",
        b"\x09\0\0",
    ],
)
def test_nonsense_drops_its_sender_alone(host: Callable[..., Host], junk: bytes) -> None:
    reaper = host([])
    with connected(reaper.port) as api:
        with socket.create_connection(("127.0.0.1", reaper.port)) as link:
            link.sendall(junk)
            time.sleep(0.05)
        assert len(tracks(api)) == 3
    assert reaper.close() == 0


@pytest.mark.parametrize(("more", "served"), [(0, True), (1, False)])
def test_a_request_that_is_too_long_drops_its_sender(
    host: Callable[..., Host], more: int, served: bool
) -> None:
    (limit,) = re.findall(r"^_LARGEST_REQUEST_BYTES = (\w+)$", OURS.read_text(), re.MULTILINE)
    reaper = host([])
    request = json.dumps(call("reapy.reascript_api", "CountTracks", 0)).encode()
    request = request.ljust(int(limit) + more)
    with socket.create_connection(("127.0.0.1", reaper.port), timeout=20) as link:
        assert link.recv(8)
        # The server may close while this is under way.
        with suppress(ConnectionError):
            link.sendall(len(request).to_bytes(8, "little") + request)
        answer = b""
        with suppress(ConnectionError):
            while part := link.recv(1 << 16):
                answer += part
                if b'"value": 3' in answer:
                    break
    assert (b'"value": 3' in answer) == served
    with connected(reaper.port) as api:
        assert len(tracks(api)) == 3
    assert reaper.close() == 0


def test_the_server_listens_on_this_computer_alone(host: Callable[..., Host]) -> None:
    reaper = host([])
    links = psutil.Process(reaper.process.pid).net_connections("inet")
    listening = {(link.laddr.ip, link.laddr.port) for link in links if link.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", reaper.port)}
    assert server_addresses(reaper.port) == {"127.0.0.1"}
    assert open_addresses(reaper.port) == set()
    assert reaper.tell("state")["ext_state"] == {"reapy/server_port": str(reaper.port)}
    assert reaper.tell("state")["longest_tick_s"] < 1.0


def test_reapys_own_open_server_is_not_talked_to(host: Callable[..., Host]) -> None:
    reaper = host([], reapys_own())
    assert open_addresses(reaper.port) == {"0.0.0.0"}
    refused = pytest.raises(ConnectionRefusedByUsError, match=r"listens on 0\.0\.0\.0.*does not talk to it")
    with refused, connected(reaper.port):
        pass


def test_reapys_own_server_bound_to_loopback_would_do(
    host: Callable[..., Host], result: Result, tmp_path: Path
) -> None:
    """The client works with reapy's real server code too."""
    script = tmp_path / "loopback.py"
    script.write_text(
        "from reapy.tools.network import server\nplain = server.Server.bind\n"
        "server.Server.bind = lambda self, address: plain(self, ('127.0.0.1', address[1]))\n"
        + reapys_own().read_text()
    )
    reaper = host([item(result.source, position=5, offset=1.25)], script)
    with connected(reaper.port) as api:
        import_result(api, result, items_of(api, result))
    state = reaper.tell("state")
    assert (len(state["tracks"]), state["created_sources"], state["undo"]) == (8, 0, [UNDO_LABEL])


def test_where_the_system_does_not_tell_it_is_found_out(
    host: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, where only root sees who listens."""

    def denied(kind: str) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", denied)
    reaper = host([])
    assert server_addresses(reaper.port) == {"127.0.0.1"}
    with connected(reaper.port) as api:
        assert len(tracks(api)) == 3
    with socket.socket() as everywhere:
        everywhere.bind(("0.0.0.0", 0))
        everywhere.listen()
        addresses = {
            one.address
            for found in psutil.net_if_addrs().values()
            for one in found
            if one.family == socket.AF_INET and not one.address.startswith("127.")
        }
        assert open_addresses(everywhere.getsockname()[1]) == addresses


def test_nobody_there_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(StemfixError, match="No REAPER answers"), connected(probe.getsockname()[1]):
            pass


def test_only_items_that_fit_are_taken(host: Callable[..., Host], result: Result, published: Publish) -> None:
    other = item(result.source.with_name("other.wav"), position=1, offset=1)
    beyond = item(result.source, position=2, offset=4)  # it plays up to 6 s; the stems end at 5 s
    reaper = host([other, beyond])
    with connected(reaper.port) as api, pytest.raises(InputError, match="No item of the open project"):
        items_of(api, result)
    fitting = [item(result.source, position=place, offset=1, selected=False) for place in (3, 4)]
    reaper = host([other, beyond, *fitting])
    with connected(reaper.port) as api:
        with pytest.raises(InputError, match="2 items"):
            items_of(api, result)
        (one,) = items_of(api, result, "{22222222-0000-0000-0000-000000000004}")
        assert one.item is not None
        assert one.item.position_s == 4


def test_a_stem_that_is_cut_short_stops_the_import_before_anything(
    host: Callable[..., Host], result: Result
) -> None:
    reaper = host([item(result.source, position=5, offset=1.25)])
    before = reaper.tell("state")
    result.stems[2].path.write_bytes(result.stems[0].path.read_bytes()[:-400])
    with pytest.raises(StemfixError), connected(reaper.port) as api:
        import_result(api, result, items_of(api, result))
    after = reaper.tell("state")
    assert (after["tracks"], after["undo"], after["created_sources"]) == (before["tracks"], [], 0)
    with pytest.raises(InputError, match=r"frames at|can't be read"):
        load_result(result.folder)


def test_a_render_comes_back_where_it_was_rendered(host: Callable[..., Host], published: Publish) -> None:
    render = load_result(published(frames=16_000, reference=8_000 * 65))
    reaper = host([], time_offset=60.0)
    with connected(reaper.port) as api:
        assert import_render(api, render) == 5.0
    state = reaper.tell("state")
    names = [track["name"] for track in state["tracks"]]
    assert names == ["Bus", "Mix", "After", "mix (stemfix)", "drums", "bass", "other", "vocals"]
    chunk = state["tracks"][4]["items"][0]["chunk"]
    assert "POSITION 5\n" in chunk
    assert "LENGTH 2\n" in chunk
    assert state["undo"] == [UNDO_LABEL]


def test_a_render_without_its_place_is_refused(host: Callable[..., Host], result: Result) -> None:
    reaper = host([])
    with connected(reaper.port) as api, pytest.raises(InputError, match="Write BWF chunk"):
        import_render(api, result)


def test_a_selected_item_becomes_a_job_with_handles(
    host: Callable[..., Host], result: Result, tmp_path: Path
) -> None:
    reaper = host([item(result.source, position=5, offset=1.5)])
    with connected(reaper.port) as api:
        (one,) = selected_items(api)
        project = projects(api)[0].path
    assert one.item is not None
    assert one.file is not None
    job_id = submit_item(one.item, one.file, "balanced", project)
    job = json.loads((tmp_path / "stemfix" / "data" / "spool" / job_id / "job.json").read_text())
    assert (job["source"], job["client"], job["priority"]) == (str(result.source), "reaper", "daw")
    assert (job["start_frame"], job["stop_frame"]) == (4_000, 36_001)
    assert job["out_dir"] == str(tmp_path / "song" / "stemfix")
    assert item_of(job_id) == "{22222222-0000-0000-0000-000000000005}"
    assert item_of("nobody") is None


def test_the_commands(host: Callable[..., Host], result: Result, stemfix: Callable[..., Any]) -> None:
    reaper = host([item(result.source, position=5, offset=1.25)])
    listed = json.loads(stemfix("reaper", "list", "--port", reaper.port, "--json").out)
    assert [track["name"] for track in listed["tracks"]] == ["Bus", "Mix", "After"]
    assert listed["selected"][0]["file"] == str(result.source)
    done = stemfix("reaper", "import", result.folder, "--port", reaper.port)
    assert done.status == 0, done.err
    assert "below the item; undo takes them out" in done.out
    assert len(reaper.tell("state")["tracks"]) == 8
    reaper.process.send_signal(signal.SIGKILL)
    reaper.process.wait()
    assert "No REAPER answers" in stemfix("reaper", "list", "--port", reaper.port).err


def test_only_functions_that_are_served_are_called_and_with_as_many_arguments_as_they_have() -> None:
    text = (HERE / "fake_reaper_host.py").read_text()
    (arities,) = [
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARITIES"
    ]
    arity = eval(compile(ast.Expression(arities), "host", "eval"))
    (first,) = [
        node.value
        for node in ast.parse(OURS.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_FIRST"
    ]
    kinds = eval(compile(ast.Expression(first), "server", "eval"))
    served = {name for names in kinds.values() for name in names}
    called = set()
    for path in OURS.parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if ast.unparse(node.func.value) in ("api", "reascript_api"):
                if node.func.attr == "ValidatePtr2":  # reapy's own
                    continue
                called.add(node.func.attr)
                assert len(node.args) == arity[node.func.attr], ast.unparse(node)
    assert called | {"GetAppVersion"} == served <= arity.keys()
    assert "ExecProcess" not in served


def test_from_the_selected_item_through_the_engine_to_tracks(
    host: Callable[..., Host], tmp_path: Path, stemfix: Callable[..., Any]
) -> None:
    rate, frames = 44_100, 3 * 44_100
    source = tmp_path / "song" / "take.wav"
    source.parent.mkdir()
    noise = np.random.default_rng(2).normal(0, 0.1, (frames, 2)).astype(np.float32)
    soundfile.write(source, noise, rate, subtype="FLOAT")
    wave = f'<SOURCE WAVE\nFILE "{source}"\n>\n'
    section = f"<SOURCE SECTION\nLENGTH 1.5\nMODE 2\nSTARTPOS 1.25\nOVERLAP 0.01\n{wave}>\n"
    chunk = item(source, position=5, offset=0.25).replace(wave, section)
    chunk = chunk.replace("LENGTH 2\n", "LENGTH 1\n")
    reaper = host([chunk])
    engine = subprocess.Popen([sys.executable, str(HERE.parent / "service" / "fake_engine.py")])
    try:
        while (beat := engine_alive()) is None or beat.state != "ready":
            assert engine.poll() is None
            time.sleep(0.05)
        arguments = ("--preset", "none", "--wait", "--port", reaper.port)
        done = stemfix("reaper", "enhance-selected", *arguments)
        assert done.status == 0, done.err
    finally:
        engine.terminate()
        engine.wait()
    assert "below the item" in done.out
    found = reaper.tell("state")["tracks"]
    assert [track["name"] for track in found[2:7]] == ["Mix (stemfix)", "drums", "bass", "other", "vocals"]
    heard = [section_of(track["items"][0]["chunk"]) for track in found[3:7]]
    original = section_of(chunk)
    null = np.abs(original - sum(heard)).max()
    assert 20 * np.log10(max(null, 1e-12)) < -120


@pytest.mark.slow
def test_a_render_into_a_watched_folder_comes_back_through_the_engine(
    host: Callable[..., Host], published: Publish, tmp_path: Path
) -> None:
    """A watching process, the engine's own process, its queue, the script in REAPER: none is a stand-in."""
    reaper = host([], time_offset=60.0)
    published(frames=16_000, reference=8_000 * 65 + 1)
    render, watched = tmp_path / "song" / "mix.wav", tmp_path / "song" / "renders"
    audio, rate = soundfile.read(render)
    watched.mkdir()
    said: list[str] = []
    engine = subprocess.Popen([sys.executable, str(HERE.parent / "service" / "fake_engine.py")])
    watch = subprocess.Popen(
        [sys.executable, "-m", "stemfix", "watch", str(watched), "--preset", "none"],
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )
    try:
        while (beat := engine_alive()) is None or beat.state != "ready":
            assert engine.poll() is None
            time.sleep(0.05)
        with open_queue() as queue:
            trip = RoundTrip(queue, "project", reaper.port, said.append)
            os.replace(render, watched / "verse.wav")
            while not said:
                assert (engine.poll(), watch.poll()) == (None, None)
                trip.look()
                time.sleep(0.1)
            trip.look()
    finally:
        for process in (watch, engine):
            process.terminate()
            process.wait()
    (line,) = said
    assert line.endswith("The stems of verse.wav are in the open project at 5.000 s.")
    state = reaper.tell("state")
    names = [track["name"] for track in state["tracks"]]
    assert names == ["Bus", "Mix", "After", "verse (stemfix)", "drums", "bass", "other", "vocals"]
    total = np.zeros(len(audio))
    for track in state["tracks"][4:]:
        (one,) = track["items"]
        keys = dict(line.strip().split(" ", 1) for line in one["chunk"].splitlines() if " " in line.strip())
        assert float(keys["POSITION"]) == pytest.approx(5.000125, abs=1e-9)
        assert float(keys["LENGTH"]) == 2
        total += soundfile.read(keys["FILE"].strip('"'))[0]
    assert rate == 8_000
    assert 20 * np.log10(np.abs(audio - total).max()) < -120
    assert state["undo"] == [UNDO_LABEL]


def section_of(chunk: str) -> Any:
    """What the section in an item's chunk holds of its file."""
    lines = [line.strip() for line in chunk.splitlines()]
    keys = dict(line.split(" ", 1) for line in lines if " " in line and not line.startswith("<"))
    audio, rate = soundfile.read(keys["FILE"].strip('"'))
    start = round(float(keys["STARTPOS"]) * rate)
    assert keys["MODE"] == "2"
    return audio[start : start + round(1.5 * rate)]

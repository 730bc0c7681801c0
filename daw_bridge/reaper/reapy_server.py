"""Serve stemfix in the terminal: a ReaScript that lets `stemfix reaper` look at the open project.

It is reapy's server with four differences. It listens on 127.0.0.1 alone. It runs no function but the few of
REAPER's that stemfix needs, by name and with plain values; all else is refused. A client that sends nonsense,
hangs or dies is dropped, and what it left undone in the project is undone. And it takes at most a few
milliseconds at a time, but for the moment of an import.

Run it from the action list; `stemfix reaper` then works until REAPER is closed or the action is ended there.
This file runs in REAPER's Python and imports nothing of stemfix.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from contextlib import suppress
from typing import Any

#: The folder with reapy; the installer writes it here.
SITE_PACKAGES = ""
if SITE_PACKAGES and SITE_PACKAGES not in sys.path:
    sys.path.append(SITE_PACKAGES)

import reapy  # noqa: E402
from reapy import reascript_api  # noqa: E402
from reapy.tools.network.server import Server  # noqa: E402

#: The functions that a client may call, by what their first argument is.
_FIRST = {
    "project": (
        *("CountMediaItems", "CountSelectedMediaItems", "CountTracks", "GetMediaItem"),
        *("GetProjectTimeOffset", "GetSelectedMediaItem", "GetTrack"),
        *("Undo_BeginBlock2", "Undo_CanUndo2", "Undo_DoUndo2", "Undo_EndBlock2"),
    ),
    "MediaTrack": (
        *("AddMediaItemToTrack", "CountTrackMediaItems", "GetMediaTrackInfo_Value"),
        *("GetSetMediaTrackInfo_String", "GetTrackName", "SetMediaTrackInfo_Value"),
    ),
    "MediaItem": ("GetItemStateChunk", "GetMediaItem_Track", "SetItemStateChunk", "SetMediaItemInfo_Value"),
    "PCM_source": ("GetMediaSourceLength", "PCM_Source_Destroy"),
    "value": (
        *("EnumProjects", "GetAppVersion", "InsertTrackAtIndex", "PCM_Source_CreateFromFile"),
        *("PreventUIRefresh", "TrackList_AdjustWindows", "UpdateArrange"),
    ),
}
ALLOWED = {name: kind for kind, names in _FIRST.items() for name in names}
#: The attributes that they may read and write.
_KEYS = frozenset(
    (
        *("B_MUTE", "D_PAN", "D_PANLAW", "D_VOL", "D_WIDTH", "I_CUSTOMCOLOR", "I_FOLDERDEPTH"),
        *("I_PANMODE", "IP_TRACKNUMBER", "P_NAME"),
    )
)
#: What REAPER's Python has room for; a larger size of a buffer would be written beyond its end.
_LARGEST_NUMBER = 4_000_000
_HANDLE = re.compile(r"\((\w+)\*\)0x([0-9A-Fa-f]{1,16})")
_MODULE = "reapy.reascript_api"
_UNFINISHED = "stemfix: unfinished import"
_LARGEST_REQUEST_BYTES = 8_000_000
_MOST_CONNECTIONS = 8
#: Seconds: what a tick may take, how long an import may hold REAPER, and how long a sending client may pause.
_TICK_S, _HOLD_S, _PATIENCE_S = 0.004, 20.0, 1.0


class RefusedError(Exception):
    """A request that is not served."""


class GoneError(Exception):
    """A client that is gone, or that can't be understood."""


class LoopbackServer(Server):  # type: ignore[misc]
    """reapy's server for stemfix's client."""

    def __init__(self, port: int) -> None:
        self._blocks: dict[Any, list[Any]] = {}
        self._prevented: dict[Any, int] = {}
        self._sources: dict[Any, set[str]] = {}
        super().__init__(port)

    def bind(self, address: tuple[str, int]) -> None:
        """Listen on this computer alone, whatever `address` says."""
        if os.name == "nt":  # there the option that reapy sets would let others take the port over
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE", -5), 1)
        super().bind(("127.0.0.1", address[1]))

    def tick(self) -> None:
        """Take what has come in, for a few milliseconds. Never raises."""
        until = time.monotonic() + _TICK_S
        try:
            if len(self.connections) < _MOST_CONNECTIONS:
                self.accept()
        except OSError:
            pass
        for address in list(self.connections):
            try:
                while (request := self._receive(address)) is not None:
                    self._answer(address, request)
                    if time.monotonic() > until:
                        break
            except (GoneError, OSError):
                with suppress(Exception):  # whatever REAPER says, the others are served on
                    self._drop(address)

    def close_all(self) -> None:
        """Let go of all clients and of the port."""
        for address in list(self.connections):
            self._drop(address)
        self.close()

    def _answer(self, address: Any, request: dict[str, Any]) -> None:
        if request.get("function") == "HOLD":
            self._send(address, {"type": "result", "value": None})
            self._hold(address)
            return
        self._send(address, self._result(address, request))

    def _hold(self, address: Any) -> None:
        until = time.monotonic() + _HOLD_S
        while time.monotonic() < until:
            request = self._receive(address)
            if request is None:
                continue
            if request.get("function") == "RELEASE":
                self._send(address, {"type": "result", "value": None})
                return
            self._send(address, self._result(address, request))
        raise GoneError

    def _result(self, address: Any, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"type": "result", "value": self._call(address, request)}
        except Exception as error:
            return {"type": "error", "traceback": f"{type(error).__name__}: {error}"}

    def _call(self, address: Any, request: dict[str, Any]) -> Any:
        function, given = request.get("function"), request.get("input")
        if not isinstance(function, dict) or not isinstance(given, dict):
            raise RefusedError("this is no call")
        name, arguments = function.get("name"), given.get("args")
        if function.get("module_name") != _MODULE or given.get("kwargs"):
            raise RefusedError("only REAPER's own functions are served")
        if name == "_get_api_names":
            return sorted(ALLOWED)
        if name not in ALLOWED:
            raise RefusedError("this function is not served")
        if not isinstance(arguments, list) or not all(
            value is None or isinstance(value, (str, int, float)) for value in arguments
        ):
            raise RefusedError("only plain values are taken")
        self._check(address, name, arguments)
        value = getattr(reascript_api, name)(*arguments)
        self._note(address, name, arguments, value)
        return value

    def _check(self, address: Any, name: str, arguments: list[Any]) -> None:
        """Refuse what could bring REAPER down: handles of what is gone, sizes without room, unknown keys."""
        kind = ALLOWED[name]
        if kind == "project" and (not arguments or arguments[0] != 0):
            raise RefusedError("only the project in front is served")
        if kind in ("MediaTrack", "MediaItem", "PCM_source"):
            match = _HANDLE.fullmatch(str(arguments[0])) if arguments else None
            if match is None or match[1] != kind:
                raise RefusedError(f"this is no {kind}")
            known = (
                str(arguments[0]) in self._sources.get(address, ())
                if kind == "PCM_source"
                else reascript_api.ValidatePtr2(0, int(match[2], 16), f"{kind}*")
            )
            if not known:
                raise RefusedError("the track or item is gone")
        if "Info_" in name and (len(arguments) < 2 or arguments[1] not in _KEYS):
            raise RefusedError("this attribute is not served")
        if any(isinstance(value, int) and not -1 <= value <= _LARGEST_NUMBER for value in arguments):
            raise RefusedError("a number is too large")
        if any(isinstance(value, str) and "<TAKEFX" in value for value in arguments):
            raise RefusedError("effects are not taken")

    def _note(self, address: Any, name: str, arguments: list[Any], value: Any) -> None:
        if name == "PCM_Source_CreateFromFile" and int(str(value).split("0x")[1], 16):
            self._sources.setdefault(address, set()).add(str(value))
        elif name == "PCM_Source_Destroy":
            self._sources[address].discard(str(arguments[0]))
        elif name == "Undo_BeginBlock2":
            self._blocks.setdefault(address, []).append(arguments[0])
        elif name == "Undo_EndBlock2" and self._blocks.get(address):
            self._blocks[address].pop()
        elif name == "PreventUIRefresh":
            self._prevented[address] = self._prevented.get(address, 0) + int(arguments[0])

    def _receive(self, address: Any) -> dict[str, Any] | None:
        link = self.connections[address]._socket
        link.settimeout(0.0002)
        try:
            head = link.recv(8)
        except socket.timeout:  # noqa: UP041 - another class before Python 3.10
            return None
        link.settimeout(_PATIENCE_S)
        head += self._rest(link, 8 - len(head)) if head else b""
        length = int.from_bytes(head, "little")
        if not 0 < length <= _LARGEST_REQUEST_BYTES:
            raise GoneError
        try:
            request = json.loads(self._rest(link, length))
        except (ValueError, RecursionError):
            raise GoneError from None
        if not isinstance(request, dict):
            raise GoneError
        return request

    def _rest(self, link: socket.socket, length: int) -> bytes:
        parts = []
        while length:
            part = link.recv(min(length, 1 << 16))
            if not part:
                raise GoneError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _send(self, address: Any, result: dict[str, Any]) -> None:
        data = json.dumps(result).encode()
        link = self.connections[address]._socket
        link.settimeout(_PATIENCE_S)
        link.sendall(len(data).to_bytes(8, "little") + data)

    def _drop(self, address: Any) -> None:
        connection = self.connections.pop(address)
        with suppress(OSError):
            connection.close()
        for source in self._sources.pop(address, ()):
            reascript_api.PCM_Source_Destroy(source)
        if prevented := self._prevented.pop(address, 0):
            reascript_api.PreventUIRefresh(-prevented)
        for project in reversed(self._blocks.pop(address, [])):
            reascript_api.Undo_EndBlock2(project, _UNFINISHED, -1)
            if reascript_api.Undo_CanUndo2(project) == _UNFINISHED:
                reascript_api.Undo_DoUndo2(project)


def main() -> None:
    """Serve until REAPER ends the script."""
    server = LoopbackServer(reapy.config.REAPY_SERVER_PORT)
    reapy.set_ext_state("reapy", "server_port", reapy.config.REAPY_SERVER_PORT)

    def run() -> None:
        server.tick()
        reapy.defer(run)

    reapy.at_exit(server.close_all)
    reapy.at_exit(reapy.delete_ext_state, "reapy", "server_port")
    run()


if __name__ == "__main__":
    main()

"""Connection to the open REAPER over reapy, through stemfix's own server script and no other."""

from __future__ import annotations

import importlib
import importlib.util
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.errors import StemfixError

HOST = "127.0.0.1"
PORT = 2306
_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
#: REAPER does not answer while a dialog is open or it renders.
_PATIENCE_S = 10.0
_PROBE_S = 0.3
START = (
    "In REAPER run the action 'stemfix_Serve stemfix in the terminal.py'; "
    "'stemfix daw install reaper --terminal' puts it there."
)


class ConnectionRefusedByUsError(StemfixError):
    """There is a server, but one that whoever is in the network could use."""


def server_addresses(port: int = PORT) -> set[str]:
    """The addresses of this computer on which somebody listens at the TCP port."""
    import psutil

    try:
        links = psutil.net_connections("tcp")
    except (psutil.AccessDenied, PermissionError):  # as on macOS
        return _probed(port)
    return {
        link.laddr.ip
        for link in links
        if link.status == psutil.CONN_LISTEN and link.laddr and link.laddr.port == port
    }


def open_addresses(port: int = PORT) -> set[str]:
    """Those of them that others can reach."""
    return server_addresses(port) - _LOOPBACK


@contextmanager
def connected(port: int = PORT) -> Iterator[Any]:
    """REAPER's functions, as the module `reapy.reascript_api`, within the block.

    Raises StemfixError: reapy is missing, nobody listens, or the server is open to the network; then not a
    byte was sent.
    """
    if importlib.util.find_spec("reapy") is None:
        raise StemfixError("The package reapy is missing.", 'Run: pip install "stemfix[reaper]"')
    _refuse_open(port)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # reapy warns of the web interface, which is not needed here
        machines = importlib.import_module("reapy.tools.network.machines")
    client = _client(port)
    try:
        _refuse_open(port)
        machines.CLIENTS[HOST] = client
        with _reaper_errors(), machines.connect(HOST):
            yield importlib.import_module("reapy.reascript_api")
    finally:
        machines.CLIENTS.pop(HOST, None)
        client.close()


@contextmanager
def held() -> Iterator[None]:
    """REAPER stands still within the block, and calls are quick: keep it short."""
    reapy = importlib.import_module("reapy")
    with reapy.inside_reaper():
        yield


def _refuse_open(port: int) -> None:
    found = server_addresses(port)
    if open_ones := sorted(found - _LOOPBACK):
        raise ConnectionRefusedByUsError(
            f"The server on port {port} listens on {', '.join(open_ones)}: whoever is in your network can "
            "run programs through it. stemfix does not talk to it.",
            "End reapy's own server (restart REAPER), and start stemfix's. " + START,
        )
    if not found:
        raise StemfixError(f"No REAPER answers on port {port}.", START)


def _client(port: int) -> Any:
    base = importlib.import_module("reapy.tools.network.client").Client

    class Client(base):  # type: ignore[misc, valid-type]
        """reapy's client, with an end to its patience."""

        def recv(self, timeout: float | None = None) -> bytes:
            """Receive one answer."""
            self.settimeout(_PATIENCE_S)
            length = int.from_bytes(self._exactly(8), "little")
            return self._exactly(length)

        def _exactly(self, length: int) -> bytes:
            data = b""
            while len(data) < length:
                part = self._socket.recv(length - len(data))
                if not part:
                    raise ConnectionAbortedError("the connection was closed")
                data += part
            return data

    with _reaper_errors():
        return Client(port, HOST)


@contextmanager
def _reaper_errors() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise StemfixError("REAPER does not answer.", "Close its dialogs, then try again.") from error
    except ConnectionError as error:
        raise StemfixError(
            "The connection to REAPER broke.", "Look at REAPER, then try again. " + START
        ) from error
    except Exception as error:
        if type(error).__name__ != "DistError":
            raise
        last = str(error).strip().splitlines()[-1].removeprefix("RefusedError: ")
        raise StemfixError(
            f"REAPER refused: {last}.",
            "Try again; after an update of stemfix: stemfix daw install reaper",
        ) from error


def _probed(port: int) -> set[str]:
    import psutil

    addresses = {
        address.address
        for found in psutil.net_if_addrs().values()
        for address in found
        if address.family == socket.AF_INET
    }
    reached = set()
    for address in addresses | {HOST}:
        with socket.socket() as probe:
            probe.settimeout(_PROBE_S)
            if probe.connect_ex((address, port)) == 0:
                reached.add(address)
    return reached

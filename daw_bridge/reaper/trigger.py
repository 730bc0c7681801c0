"""Run one of stemfix's actions in an open REAPER, over OSC."""

from __future__ import annotations

import socket

from daw_bridge.osc import HOST, OscError, message
from daw_bridge.reaper.folders import ReaperFolder, required
from daw_bridge.reaper.keymap import registered
from daw_bridge.transaction import content
from engine.errors import OptionError, StemfixError

ENHANCE = "stemfix_Enhance selected item.lua"


def run_action(folders: list[ReaperFolder], port: int, file_name: str = ENHANCE) -> str:
    """Send REAPER on this computer the action of the script `file_name`; returns the action's command name.

    REAPER's OSC has no answers: what becomes of it shows there. Raises StemfixError.
    """
    found = [
        one
        for folder in required(folders)
        for one in registered(content(folder.keymap))
        if one.file_name.lower() == file_name.lower()
    ]
    if not found:
        raise StemfixError(f"{file_name} is not registered in REAPER.", "Run: stemfix daw install reaper")
    if not 1 <= port <= 65_535:
        raise OptionError(f"There is no port {port}.", "Give the one that REAPER shows in its OSC settings.")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(0.2)
        link.connect((HOST, port))  # so that the system reports a closed port
        try:
            link.send(message("/action/str", found[0].command))
            link.recv(1)
        except TimeoutError:
            pass  # nothing came back, as it should
        except ConnectionError as error:
            raise OscError(
                f"Nothing listens for OSC on port {port}.",
                "In REAPER add OSC under Preferences > Control/OSC/web, with this local listen port.",
            ) from error
    return found[0].command

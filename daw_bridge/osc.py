"""OSC to an Ardour on this computer: ask whether it answers, and run one of its actions.

Ardour listens on every network interface and asks nobody for a password, so stemfix never switches OSC on,
and needs it for nothing but a trigger from the terminal.
"""

from __future__ import annotations

import socket

from engine.errors import StemfixError

HOST = "127.0.0.1"
#: For 6 seconds: an Ardour that loads a session, on a computer that has much to do, takes that long.
_TRIES = 12
_WAIT_S = 0.5


class OscError(StemfixError):
    """Nobody answers over OSC."""


def run_action(action: str, port: int, *, wait_s: float = _WAIT_S) -> None:
    """Run Ardour's action `action`, such as `LuaAction/script-3`, after it has answered a question.

    Raises OscError if nothing listens on `port` of this computer, or nothing answers in 12 times `wait_s`.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.connect((HOST, port))  # so that the system reports a closed port
        link.settimeout(wait_s)
        _wait_for_answer(link, port)
        link.send(message("/access_action", action))


def _wait_for_answer(link: socket.socket, port: int) -> None:
    # A datagram may be lost, as happens while a session is still loading.
    for _ in range(_TRIES):
        try:
            link.send(message("/transport_frame"))
            # Any datagram will do: Ardour answers with the address '#reply', which is not legal OSC.
            link.recv(65_535)
            return
        except TimeoutError:
            continue
        except ConnectionError as error:
            raise OscError(
                f"Nothing listens for OSC on port {port}.",
                "In Ardour open a session and switch on Edit > Preferences > Control Surfaces > "
                "Open Sound Control; give another port with --port.",
            ) from error
    raise OscError(
        f"Something listens on port {port}, but does not answer as Ardour does.",
        "Wait until the session is open; in the settings of Open Sound Control, Port Mode has to be Auto.",
    )


def message(address: str, *arguments: str) -> bytes:
    """An OSC message of text arguments as a datagram."""
    from pythonosc.osc_message_builder import OscMessageBuilder

    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram

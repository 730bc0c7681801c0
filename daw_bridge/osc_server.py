"""OscServer: jobs over OSC from DAWs and control surfaces on this computer, with progress to the sender.

It listens on 127.0.0.1 alone. A message can name a file and a preset, or a job, and nothing else; nothing
that comes in is executed. What is no OSC, or is not addressed to stemfix, is ignored and counted.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import StemfixError
from engine.processors.presets import load as load_preset
from engine.quality import quality
from engine.queue.records import JobState
from engine.spool.client import engine_alive, read_result, read_status, request_cancel, write_job
from engine.spool.models import SpoolJob, SpoolStatus

HOST = "127.0.0.1"
DEFAULT_PORT = 3821
#: Between two looks at the jobs: a sender hears of each at most so often.
_LOOK_S = 0.25
#: Jobs whose senders are told; more at a time are refused.
_MOST_JOBS = 64
_LARGEST_PACKET_BYTES = 65_536
_LONGEST_TEXT = 400

Sender = tuple[str, int]


@dataclass
class _Followed:
    sender: Sender
    told: tuple[Any, ...] = ()


@dataclass
class Counts:
    """What came in since the start."""

    served: int = 0
    #: Packets that are no OSC.
    malformed: int = 0
    #: Messages for an address that there is not.
    unknown: int = 0


class OscServer:
    """A socket on `port` of 127.0.0.1, bound at once; 0 takes any free one.

    Args:
        port: where to listen.
        enhance_selected: what `/stemfix/enhance` without a file does; raises StemfixError.

    Raises StemfixError where the port is taken.
    """

    def __init__(self, port: int = DEFAULT_PORT, enhance_selected: Callable[[], None] | None = None) -> None:
        self.counts = Counts()
        self._enhance_selected = enhance_selected
        self._jobs: dict[str, _Followed] = {}
        self._last: dict[Sender, str] = {}
        self._link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._link.bind((HOST, port))
        except OSError as error:
            self._link.close()
            raise StemfixError(
                f"Port {port} can't be used for OSC: {error.strerror or error}.",
                "Close the program that has it, or set another port in [osc] of the configuration.",
            ) from error
        self._link.settimeout(_LOOK_S)
        self.port: int = self._link.getsockname()[1]

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, then close the socket."""
        looked = 0.0
        with self._link:
            while not stop.is_set():
                try:
                    packet, sender = self._link.recvfrom(_LARGEST_PACKET_BYTES)
                    self._take(packet, sender)
                except TimeoutError:
                    pass
                except ConnectionError:  # on Windows, for a reply whose receiver is gone
                    continue
                if time.monotonic() >= looked + _LOOK_S:
                    looked = time.monotonic()
                    self._look()

    def _take(self, packet: bytes, sender: Sender) -> None:
        from pythonosc.osc_packet import OscPacket

        try:
            messages = [timed.message for timed in OscPacket(packet).messages]
        except Exception:  # whatever a crafted packet makes the parser do
            self.counts.malformed += 1
            return
        serve = {
            "/stemfix/enhance": self._enhance,
            "/stemfix/status": self._status,
            "/stemfix/cancel": self._cancel,
        }
        for message in messages:
            if message.address not in serve:
                self.counts.unknown += 1
                continue
            self.counts.served += 1
            try:
                serve[message.address](sender, _texts(message.params))
            except StemfixError as error:
                self._send(sender, "/stemfix/error", f"{error.what} {error.remedy}".strip())
            except (OSError, ValueError):  # such as a path that is too long, or a preset's that is relative
                self._send(sender, "/stemfix/error", "This can't be used. Send whole paths and known names.")

    def _enhance(self, sender: Sender, texts: list[str]) -> None:
        if not texts:
            if self._enhance_selected is None:
                raise StemfixError("No file was named.", "Send the path of a recording.")
            self._enhance_selected()
            return
        if len(self._jobs) >= _MOST_JOBS:
            raise StemfixError(f"{_MOST_JOBS} jobs from OSC are under way.", "Wait for one to end.")
        path = Path(texts[0])
        preset = texts[1] if len(texts) > 1 else "balanced"
        if not path.is_absolute() or not path.is_file():
            raise StemfixError(f"There is no file {path}.", "Send the whole path of a recording.")
        chosen = quality(load_preset(preset).quality)
        job_id = write_job(
            SpoolJob(
                source=path,
                out_dir=path.parent,
                preset=preset,
                model=chosen.model,
                options=chosen.options,
                output_format=chosen.output_format,
                client="osc",
                priority="daw",
            )
        )
        self._jobs[job_id] = _Followed(sender)
        self._last[sender] = job_id
        self._send(sender, "/stemfix/job", job_id, str(path))

    def _status(self, sender: Sender, texts: list[str]) -> None:
        if not texts:
            beat = engine_alive()
            queue = beat.queue if beat else {}
            self._send(
                sender,
                "/stemfix/engine",
                beat.state if beat else "stopped",
                queue.get(JobState.QUEUED, 0),
                queue.get(JobState.RUNNING, 0),
                self.counts.malformed,
            )
        job_id = texts[0] if texts else self._last.get(sender)
        if job_id is not None:
            self._tell(sender, job_id, read_status(job_id))

    def _cancel(self, sender: Sender, texts: list[str]) -> None:
        job_id = texts[0] if texts else self._last.get(sender)
        if job_id is None:
            raise StemfixError("No job was named.", "Send the job's id.")
        request_cancel(job_id)

    def _look(self) -> None:
        for job_id, followed in list(self._jobs.items()):
            status = read_status(job_id)
            if status is None:
                continue
            news = (status.state, round(status.progress, 3), status.message)
            if news != followed.told:
                followed.told = news
                self._tell(followed.sender, job_id, status)
            if status.state.ended:
                del self._jobs[job_id]
        if len(self._last) > 4 * _MOST_JOBS:
            self._last = {sender: job_id for sender, job_id in self._last.items() if job_id in self._jobs}

    def _tell(self, sender: Sender, job_id: str, status: SpoolStatus | None) -> None:
        if status is None:
            self._send(sender, "/stemfix/progress", job_id, "waiting", 0.0, "No engine took it yet.")
            return
        self._send(
            sender, "/stemfix/progress", job_id, status.state.value, float(status.progress), status.message
        )
        if status.state.ended:
            result = read_result(job_id)
            folder = (result.folder if result else None) or ""
            self._send(sender, "/stemfix/result", job_id, status.state.value, folder, status.message)

    def _send(self, sender: Sender, address: str, *values: str | int | float) -> None:
        from pythonosc.osc_message_builder import OscMessageBuilder

        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value[:_LONGEST_TEXT] if isinstance(value, str) else value)
        try:
            self._link.sendto(builder.build().dgram, sender)
        except OSError:  # nobody listens there any more
            return


def _texts(params: Sequence[Any]) -> list[str]:
    """The arguments as text. A button of a control surface sends its state, a number, which says nothing."""
    found = [value for value in params if not isinstance(value, (bool, int, float))]
    if not all(isinstance(value, str) and value and "\0" not in value for value in found):
        raise StemfixError("The arguments have to be text.", "See docs/osc.md.")
    return found

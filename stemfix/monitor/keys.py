"""Keyboard: single keys from the terminal, by name, without waiting for Enter."""

from __future__ import annotations

import os
import queue
import sys
import threading
from types import TracebackType
from typing import Any

#: What arrow keys and their like send, after the escape character.
_SEQUENCES = {
    "[A": "up",
    "OA": "up",
    "[B": "down",
    "OB": "down",
    "[H": "home",
    "OH": "home",
    "[1~": "home",
    "[F": "end",
    "OF": "end",
    "[4~": "end",
    "[5~": "pageup",
    "[6~": "pagedown",
}
#: The second code of a special key on Windows.
_WINDOWS = {"H": "up", "P": "down", "G": "home", "O": "end", "I": "pageup", "Q": "pagedown"}
_NAMES = {"\r": "enter", "\n": "enter", "\x1b": "esc", "\x03": "q", "\x04": "q"}
#: How long an escape character may wait for the rest of its sequence.
_ESCAPE_S = 0.05


def parse(text: str) -> list[str]:
    """The names of the keys in what the terminal sent; what has no name is left out."""
    keys = []
    while text:
        if text[0] == "\x1b" and len(text) > 1 and text[1] in "[O":
            end = next((at for at in range(2, len(text)) if "@" <= text[at] <= "~"), len(text) - 1)
            keys.append(_SEQUENCES.get(text[1 : end + 1], ""))
            text = text[end + 1 :]
            continue
        keys.append(_NAMES.get(text[0], text[0] if text[0].isprintable() else ""))
        text = text[1:]
    return [key for key in keys if key]


class Keyboard:
    """Within `with keyboard:` keys come one by one; the terminal is as it was before at its end.

    `send` puts a key in as if it had been pressed, from any thread or signal handler.
    """

    def __init__(self) -> None:
        # A SimpleQueue may be written to by a signal handler that interrupted its reader.
        self._keys: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: list[Any] | None = None
        self._wake: tuple[int, int] | None = None

    def get(self, timeout_s: float) -> str | None:
        """The next key; None if none came in time."""
        try:
            return self._keys.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def send(self, key: str) -> None:
        """Put a key in."""
        self._keys.put(key)

    def __enter__(self) -> Keyboard:
        self._stop.clear()
        if sys.platform == "win32":
            read = self._read_windows
        else:
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
            self._wake = os.pipe()
            read = self._read_posix
        self._thread = threading.Thread(target=read, name="keyboard", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._wake is not None:
            os.write(self._wake[1], b"x")
        if self._thread is not None:
            self._thread.join(1.0)
        if sys.platform != "win32":
            import termios

            if self._before is not None:
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
            for end in self._wake or ():
                os.close(end)
            self._wake = None

    def _read_posix(self) -> None:
        import select

        terminal, wake = sys.stdin.fileno(), self._wake[0] if self._wake else -1
        while not self._stop.is_set():
            ready, _, _ = select.select([terminal, wake], [], [])
            if wake in ready:
                return
            try:
                data = os.read(terminal, 1024)
                while data.endswith((b"\x1b", b"\x1b[", b"\x1bO")):
                    if not select.select([terminal], [], [], _ESCAPE_S)[0]:
                        break
                    data += os.read(terminal, 1024)
            except OSError:
                data = b""
            if not data:
                self.send("q")  # the terminal is gone
                return
            for key in parse(data.decode(errors="ignore")):
                self.send(key)

    def _read_windows(self) -> None:
        if sys.platform == "win32":
            import msvcrt

            while not self._stop.wait(0.03):
                while msvcrt.kbhit():
                    code = msvcrt.getwch()
                    if code in ("\x00", "\xe0"):
                        name = _WINDOWS.get(msvcrt.getwch(), "")
                    else:
                        name = (parse(code) or [""])[0]
                    if name:
                        self.send(name)

"""A real Ardour on a virtual screen, in a home of its own, driven by OSC, by mouse and by Lua."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile
from pythonosc.udp_client import SimpleUDPClient

HERE = Path(__file__).parent
ENGINE = HERE / "stand_in_engine.py"
_TIMEOUT_S = 60.0
_EXPORTS = 5
#: Samples on both sides of a pulse that are silent.
_AROUND = 400


class ArdourError(AssertionError):
    """Ardour did not do what was waited for."""


def wait_for(what: str, found: Callable[[], object], timeout_s: float = _TIMEOUT_S) -> object:
    """What `found` returns once it is true."""
    deadline = time.monotonic() + timeout_s
    while True:
        if result := found():
            return result
        if time.monotonic() > deadline:
            raise ArdourError(f"{what}: waited {timeout_s:.0f} s in vain")
        time.sleep(0.02)


def picture_path(name: str) -> Path:
    """Where a screenshot of a failure is kept."""
    folder = Path(os.environ.get("STEMFIX_TEST_PICTURES", HERE.parents[1] / "test-pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"


class Home:
    """A home folder with Ardour's configuration, stemfix installed in it, and stemfix's data folder.

    The engine is a stand-in with a quick model, unless `models` names the folder of the real ones.
    """

    def __init__(self, folder: Path, python: Path, models: Path | None = None) -> None:
        self.folder = folder
        self.config = folder / "config" / "ardour7"
        self.scripts = self.config / "scripts"
        self.data = folder / "data"
        self.models = models
        self.port = random.randint(20_000, 40_000)
        (self.config / "export").mkdir(parents=True)
        self.data.mkdir(mode=0o700)
        (self.config / ".a7").touch()
        shutil.copy(HERE / "float32.preset", self.config / "export")
        self._bind_console()
        stemfix = [python, "-m", "stemfix", "daw"]
        self._run([*stemfix, "install", "ardour", "--preset", "none"])
        (installed,) = json.loads(self._run([*stemfix, "status", "ardour", "--json"]))
        #: Slot of Ardour's menu of scripts by script.
        self.slots = {"console": 1} | {
            name.removesuffix(".lua"): slots[0] for name, slots in installed["slots"].items()
        }
        # The scripts ask it for `-m stemfix engine`.
        stand_in = folder / "python"
        stand_in.write_text(
            f'#!/bin/sh\n[ "$1" = -c ] && exec "{python}" "$@"\n'
            f'[ "$*" = "-m stemfix engine" ] && exec "{python}" "{ENGINE}"\n'
            f'[ "$1 $2 $3" = "-m stemfix report" ] && exec "{python}" "$@"\nexit 9\n'
        )
        stand_in.chmod(0o755)
        # What Ardour opens in the desktop's browser lands in a file.
        (folder / "bin").mkdir()
        opener = folder / "bin" / "xdg-open"
        opener.write_text(f'#!/bin/sh\necho "$1" >>"{folder}/opened"\n')
        opener.chmod(0o755)
        if models is None:
            self.use_engine(stand_in)

    def use_engine(self, python: Path, **more: str) -> None:
        """Write the settings that the installer writes; `more` are Lua values."""
        fields = {
            "python": f'"{python}"',
            "data_dir": f'"{self.data}"',
            "preset": '"none"',
            "background": "false",
            "version": '"0"',
            **more,
        }
        text = ", ".join(f"{key} = {value}" for key, value in fields.items())
        (self.scripts / "stemfix_settings.lua").write_text(f"return {{ {text} }}\n")

    def environment(self, **more: str) -> dict[str, str]:
        """What Ardour, and the engine that it starts, see."""
        kept = {key: os.environ[key] for key in ("PATH", "VIRTUAL_ENV", "LANG") if key in os.environ}
        return {
            **kept,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_DATA_HOME": str(self.folder / "share"),
            "STEMFIX_DATA_DIR": str(self.data),
            "STEMFIX_CACHE_DIR": str(self.folder / "stem-cache"),
            "STEMFIX_CONFIG_DIR": str(self.folder / "stemfix-config"),
            **({"STEMFIX_MODEL_DIR": str(self.models)} if self.models else {"OMP_NUM_THREADS": "1"}),
            "LC_ALL": "C.UTF-8",
            "NO_AT_BRIDGE": "1",
            "PULSE_SERVER": "none",
            "JACK_NO_START_SERVER": "1",
            # Ardour before 8.5 corrupts its heap with AVX-512.
            "ARDOUR_FPU_FLAGS": "95",
            "ARDOUR_TRY_AUTOSTART_ENGINE": "1",
            **more,
        }

    def write_config(self, rate: int, native_format: str = "") -> None:
        """Ardour's own configuration: no wizard, a silent sound card at `rate`, OSC on."""
        options = {
            "osc-port": self.port,
            "try-autostart-engine": 1,
            "hide-dummy-backend": 0,
            "default-session-parent-dir": self.folder,
            "discover-plugins-on-start": 0,
            "show-video-server-dialog": 0,
            "periodic-safety-backups": 0,
        }
        lines = "".join(f'<Option name="{key}" value="{value}"/>' for key, value in options.items())
        (self.config / "config").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<Ardour>'
            f"<Config>{lines}</Config><Extra><AudioMIDISetup><EngineStates>"
            '<State backend="None (Dummy)" driver="Normal Speed" device="Silence" input-device="" '
            f'output-device="" sample-rate="{rate}" buffer-size="1024" n-periods="0" input-latency="0" '
            'output-latency="0" lm-input="" lm-output="" active="1" use-buffered-io="0" '
            'midi-option="1 in, 1 out, Silence" lru="1700000000"><MIDIDevices/></State>'
            "</EngineStates></AudioMIDISetup></Extra><ControlProtocols>"
            '<Protocol name="Open Sound Control (OSC)" active="1" debugmode="0" address-only="0" '
            'remote-port="0" banksize="0" striptypes="31" feedback="0" gainmode="0" send-page-size="0" '
            'plug-page-size="0"/></ControlProtocols></Ardour>\n'
        )

    def new_session(self, name: str, rate: int) -> Path:
        """An empty session; returns its file."""
        self.write_config(rate)
        folder = self.folder / name
        self._run(["ardour7-new_session", "-s", str(rate), str(folder), name])
        return folder / f"{name}.ardour"

    def export(self, session: Path, out: Path, first: int, stop: int, pulse: int) -> Path:
        """Master out of the saved session over `[first, stop)` as a float WAV file.

        Ardour's exporter now and then renders a whole, unchanged session 16 samples early. The pulse that
        `add_pulse` put at `pulse`, which no action touches, tells; such a rendering is made again.
        """
        for pending in session.parent.glob("*.pending"):
            pending.unlink()
        script = HERE / "export.lua"
        names = [session.parent, session.stem, out.parent, out.stem]
        for _ in range(_EXPORTS):
            self._run(["ardour7-lua", script, *names, first, stop])
            audio = soundfile.read(out, dtype="float32", always_2d=True)[0]
            around = audio[pulse - first - _AROUND : pulse - first + _AROUND, 0]
            off = int(np.argmax(np.abs(around))) - _AROUND
            if off == 0:
                return out
            print(f"{out.name} came out {off:+} samples off; exporting again")
            out.unlink()
        raise ArdourError(f"Ardour exported {session} {_EXPORTS} times at the wrong place")

    def log(self) -> str:
        """What the scripts wrote into their log."""
        path = self.data / "ardour.log"
        return path.read_text() if path.exists() else ""

    def stop_engine(self) -> None:
        """End the engine that Ardour started, if there is one."""
        for pid in self.engine_pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_for("the engine's end", lambda: not self.engine_pids(), 15)

    def kill_engine(self) -> None:
        """kill -9."""
        for pid in self.engine_pids():
            os.kill(pid, signal.SIGKILL)

    def engine_pids(self) -> list[int]:
        """Engines that work on this home."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                is_engine = str(ENGINE).encode() in command or b"\0-m\0stemfix\0engine" in command
                ours = f"STEMFIX_DATA_DIR={self.data}\0".encode() in (folder / "environ").read_bytes()
                # The shell that waits for the engine names it too.
                if is_engine and ours and not command.startswith(b"sh\0"):
                    found.append(int(folder.name))
        return found

    def stemfix(self, python: Path, *words: object) -> str:
        """Run a command of stemfix in this home; what it printed."""
        return self._run([python, "-m", "stemfix", *words])

    def _run(self, command: list[object]) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment(),
            capture_output=True,
            timeout=120,
        )
        output, errors = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
        if done.returncode:
            raise ArdourError(f"{command[0]} failed:\n{output[-3000:]}\n{errors[-3000:]}")
        return output

    def _bind_console(self) -> None:
        """As if the user had bound a script of their own."""
        source = (HERE / "console.lua").read_bytes()
        chunk = b"local function ardour () end\n" + source + b"\nreturn factory (...)\n"
        parts = {b"n": b"A script of your own", b"s": source, b"f": chunk}
        payload = b"scripts = {} scripts[1] = {} " + b"".join(
            b'scripts[1]["%s"] = ' % key + _quoted(value) + b" " for key, value in parts.items()
        )
        payload += b'scripts[1]["a"] = {} '
        (self.config / "ui_scripts").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n<UIScripts><ActionScript lua="Lua 5.3">'
            f"{base64.b64encode(payload).decode()}</ActionScript><ActionHooks/></UIScripts>\n"
        )


def _quoted(text: bytes) -> bytes:
    return (
        b'"' + b"".join(b"\\%03d" % c if not 32 <= c < 127 or c in b'"\\' else b"%c" % c for c in text) + b'"'
    )


@contextmanager
def virtual_screen(width: int = 1600, height: int = 1000) -> Iterator[str]:
    """An X server without a screen; yields its DISPLAY."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    with os.fdopen(reader) as pipe:
        number = pipe.readline().strip()
    if not number:
        raise ArdourError("Xvfb does not start")
    try:
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


class Ardour:
    """One running Ardour with one session open."""

    def __init__(self, home: Home, session: Path, display: str) -> None:
        self.home = home
        self.session = session
        self._environment = home.environment(DISPLAY=display)
        self._chunks = 0
        self._osc = SimpleUDPClient("127.0.0.1", home.port)
        self._output = open(home.folder / "ardour-output.log", "ab")  # noqa: SIM115
        self._process = subprocess.Popen(
            ["ardour", "-n", "-a", str(session)],
            env=self._environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for("Ardour's start", self._answers)
        except BaseException:
            self.picture(picture_path("start-failed"))
            self.kill()
            raise

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise ArdourError(f"Ardour ended with status {self._process.returncode}")
        try:
            return self.lua("say (Session:name ())", timeout_s=0.5) == [self.session.stem]
        except ArdourError:
            return False

    @property
    def pid(self) -> int:
        return self._process.pid

    def act(self, name: str) -> None:
        """Trigger one of stemfix's actions over OSC, by its script; it does not wait for its end."""
        self.access(f"LuaAction/script-{self.home.slots[name]}")

    def access(self, action: str) -> None:
        """Trigger one of Ardour's own actions over OSC."""
        self._osc.send_message("/access_action", action)

    def send(self, address: str, *values: object) -> None:
        self._osc.send_message(address, list(values))

    def lua(self, chunk: str, timeout_s: float = 30.0) -> list[str]:
        """Run Lua in Ardour's main thread; what it gave to `say`, line by line."""
        given, answer = self.home.config / "console-in.lua", self.home.config / "console-out"
        self._chunks += 1
        written = given.with_suffix(".part")
        written.write_text(f"local say = ...\nsay ({self._chunks})\n{chunk}\n")
        answer.unlink(missing_ok=True)
        os.replace(written, given)
        deadline = time.monotonic() + timeout_s
        triggered = 0.0
        # An answer to an earlier chunk, which nobody waited for any more, may come first.
        while not (answer.exists() and answer.read_text().split("\n")[0] == str(self._chunks)):
            if given.exists() and time.monotonic() - triggered > 1.0:
                self.act("console")  # a datagram may get lost
                triggered = time.monotonic()
            if time.monotonic() > deadline:
                raise ArdourError(f"Ardour does not answer to: {chunk[:200]}")
            if self._process.poll() is not None:
                raise ArdourError(f"Ardour ended with status {self._process.returncode}")
            time.sleep(0.005)
        lines = answer.read_text().split("\n")[1:]
        if lines and lines[-1].startswith("ERROR"):
            raise ArdourError(f"{lines[-1]} in: {chunk[:500]}")
        return [line for line in lines if line]

    def add_region(
        self, wav: Path, position: int, start: int = 0, length: int | None = None, embed: bool = False
    ) -> str:
        """Import or embed a file as a new track of its name, and trim its region; the region's id."""
        how = (
            "Editor:do_embed (files, Editing.ImportSerializeFiles, Editing.ImportAsTrack,"
            if embed
            else "Editor:do_import (files, Editing.ImportSerializeFiles, Editing.ImportAsTrack,"
            "ARDOUR.SrcQuality.SrcBest, ARDOUR.MidiTrackNameSource.SMFTrackName,"
            "ARDOUR.MidiTempoMapDisposition.SMFTempoIgnore,"
        )
        end = "" if embed else ", false"
        trim = "" if length is None else f"r:trim_end (Temporal.timepos_t ({position + length}))"
        (found,) = self.lua(
            f"""
            local files = C.StringVector () files:push_back ("{wav}")
            {how} Temporal.timepos_t (0), ARDOUR.PluginInfo (), ARDOUR.Track (){end})
            local r = Session:route_by_name ("{wav.stem}"):to_track ():playlist ():region_list ():table ()[1]
            if {start} > 0 then r:trim_front (Temporal.timepos_t ({start})) end
            r:set_position (Temporal.timepos_t ({position}))
            {trim}
            say (r:to_stateful ():id ():to_s ())
            """
        )
        return found

    def add_pulse(self, position: int, rate: int) -> None:
        """One loud sample at `position` on a track of its own: `Home.export` needs it."""
        path = self.home.folder / "pulse.wav"
        audio = np.zeros((1_000, 2), np.float32)
        audio[500] = 0.99
        soundfile.write(path, audio, rate, subtype="FLOAT")
        self.add_region(path, position - 500)

    def select(self, *ids: str) -> None:
        """Select regions. Ardour draws a region some time after it made it."""

        def selected() -> bool:
            try:
                lines = self.lua(
                    f"""
                    local ids = {{ {", ".join(f'["{id}"] = true' for id in ids)} }}
                    local sl, n = ArdourUI.SelectionList (), 0
                    for _, r in pairs (ARDOUR.RegionFactory.regions ():table ()) do
                      if ids[r:to_stateful ():id ():to_s ()] then
                        sl:push_back (Editor:regionview_from_region (r)) n = n + 1
                      end
                    end
                    Editor:set_selection (sl, ArdourUI.SelectionOp.Set)
                    say (#Editor:get_selection ().regions:regionlist ():table ())
                    """
                )
            except ArdourError as error:
                if "invalid pointer" in str(error):
                    time.sleep(0.1)
                    return False
                raise
            return lines == [str(len(ids))]

        wait_for("the regions' drawings", selected, 20)

    def wait_for_log(self, text: str, since: int = 0, timeout_s: float = _TIMEOUT_S) -> str:
        """Wait until the scripts' log holds `text` after its first `since` characters; returns that part."""

        def found() -> bool:
            if self._process.poll() is not None:
                raise ArdourError(f"Ardour ended with status {self._process.returncode}")
            return text in self.home.log()[since:]

        try:
            wait_for(f"'{text}' in the log", found, timeout_s)
        except ArdourError as error:
            self.picture(picture_path("not-in-log"))
            raise ArdourError(f"{error}; it holds:\n{self.home.log()[since:]}") from None
        return self.home.log()[since:]

    def save(self) -> None:
        self.lua('Session:save_state ("", false, false, false, false, false)')

    def quit(self) -> None:
        """Save and quit as a user does."""
        self.save()
        self.access("Common/Quit")
        deadline = time.monotonic() + _TIMEOUT_S
        try:
            while self._process.poll() is None:
                if time.monotonic() > deadline:
                    self.picture(picture_path("quit-failed"))
                    self.kill()
                    raise ArdourError("Ardour does not quit")
                # Now and then Ardour itself changes something after it has saved, and asks.
                if self.windows("Unsaved"):
                    self.close_dialog("Unsaved")  # Save and quit
                time.sleep(0.3)
        finally:
            self._output.close()

    def kill(self) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def picture(self, path: Path) -> None:
        """A screenshot."""
        subprocess.run(
            ["import", "-window", "root", str(path)], env=self._environment, timeout=30, check=False
        )

    def mouse(self, *words: object) -> str:
        """xdotool."""
        done = subprocess.run(
            ["xdotool", *map(str, words)], env=self._environment, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    def windows(self, title: str) -> list[tuple[int, int, int, int]]:
        """Visible windows whose title matches: (x, y, width, height)."""
        found = []
        for window in self.mouse("search", "--onlyvisible", "--name", title).split():
            lines = dict(
                line.split("=", 1)
                for line in self.mouse("getwindowgeometry", "--shell", window).splitlines()
                if "=" in line
            )
            if lines:
                found.append(tuple(int(lines[key]) for key in ("X", "Y", "WIDTH", "HEIGHT")))
        return found  # type: ignore[return-value]

    def click(self, x: int, y: int) -> None:
        self.mouse("mousemove", x, y, "sleep", "0.05", "click", 1)

    def close_dialog(self, title: str = "^stemfix$") -> None:
        """Click the button at the lower right of a dialog: Close, or a progress window's Cancel."""
        (found,) = wait_for(f"the dialog {title}", lambda: self.windows(title))[-1:]  # type: ignore[index]
        x, y, width, height = found
        self.click(x + width - 50, y + height - 25)
